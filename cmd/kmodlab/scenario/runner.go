package scenario

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// MachineTime is how long the machine of one scenario may live once it answers.
// Most need some seconds; a busy PC half a minute, on a machine that does
// nothing else.
const MachineTime = 4 * time.Minute

// machines is how many machines run at a time: two of two processors each keep
// two real processors busy, since each waits now and then.
const machines = 2

// A Runner runs scenarios on guests of one build. It may be used concurrently.
type Runner struct {
	ctx   context.Context // of all machines
	build *lab.Build
	verbs []Verb
	slots chan struct{} // holds a token for each machine that runs
	// alone is held by a script while it takes all slots one by one: two that
	// did so at a time could wait for each other.
	alone sync.Mutex
}

// NewRunner returns a runner of scenarios on guests of that build, which all
// end with ctx.
func NewRunner(ctx context.Context, build *lab.Build) *Runner {
	return &Runner{ctx: ctx, build: build, verbs: Verbs, slots: make(chan struct{}, machines)}
}

// params are testscript's settings for a run of one file.
func (r *Runner) params(file string) testscript.Params {
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for _, v := range r.verbs {
		commands[v.Name] = v.command
	}
	return testscript.Params{
		Files:              []string{file},
		Setup:              r.setup,
		Cmds:               commands,
		RequireUniqueNames: true,
	}
}

// Files lists the scenarios in a folder.
func Files(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err == nil && len(files) == 0 {
		err = os.ErrNotExist
	}
	return files, err
}

// stageKey is where a script's stage is kept among its values.
type stageKey struct{}

// A stage is what one script works on. Its script runs in one goroutine, and so
// do the verbs.
type stage struct {
	runner *Runner
	try    *attempt
	placed int // how many of the runner's places it has

	machine *lab.Machine // nil while none runs
	ctx     context.Context
	cancel  context.CancelFunc
	started []string // names of background commands
}

// setup gives a script its stage.
func (r *Runner) setup(env *testscript.Env) error {
	env.Values[stageKey{}] = &stage{runner: r, try: env.T().(*attempt)}
	return nil
}

// stageOf returns the stage of a script whose machine runs.
func stageOf(ts *testscript.TestScript) *stage {
	s := ts.Value(stageKey{}).(*stage)
	if s.machine == nil {
		ts.Fatalf("there is no machine yet: boot comes first")
	}
	return s
}

// start starts the script's machine when there is room for it, and has it ended
// with the script. An earlier machine is ended first.
func (s *stage) start(ts *testscript.TestScript, o lab.Options) error {
	if err := s.vacate(); err != nil {
		return err
	}
	if s.placed == 0 {
		ts.Defer(func() { s.leave(ts) })
	}
	s.place(o)
	life, end := context.WithCancel(s.runner.ctx)
	m, err := s.runner.build.Start(life, o)
	if err != nil {
		end()
		return err
	}
	// What was made for the first machine of its kind is no part of its time.
	ctx, cancel := context.WithTimeout(life, MachineTime)
	context.AfterFunc(ctx, end)
	s.machine, s.ctx, s.cancel, s.started = m, ctx, cancel, nil
	return nil
}

// vacate ends the machine that runs, if one does.
func (s *stage) vacate() error {
	if s.machine == nil {
		return nil
	}
	err := s.machine.Close()
	s.cancel()
	s.machine = nil
	return err
}

// leave ends the machine, after its last words where the scenario failed, and
// gives the place back.
func (s *stage) leave(ts *testscript.TestScript) {
	if s.try.Failed() && s.machine != nil {
		ts.Logf("%s", s.machine.LastWords(s.started))
	}
	if err := s.vacate(); err != nil {
		ts.Logf("end the machine: %v", err)
		errors.As(err, &s.try.ended)
	}
	s.giveUp()
}

// place takes the places that a machine needs. The emulated USB host of a
// Raspberry Pi forgets devices on a busy machine, so it runs alone.
func (s *stage) place(o lab.Options) {
	r := s.runner
	switch {
	case o.Board == "rpi3" && s.placed < cap(r.slots):
		s.giveUp()
		r.alone.Lock()
		defer r.alone.Unlock()
		for ; s.placed < cap(r.slots); s.placed++ {
			r.slots <- struct{}{}
		}
	case s.placed == 0:
		r.slots <- struct{}{}
		s.placed = 1
	}
}

// giveUp gives the places back.
func (s *stage) giveUp() {
	for ; s.placed > 0; s.placed-- {
		<-s.runner.slots
	}
}
