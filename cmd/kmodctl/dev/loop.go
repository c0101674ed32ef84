package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/check"
	"github.com/kmodd/kmodd/cmd/kmodctl/saidby"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kmsg"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
	"github.com/kmodd/kmodd/match"
)

// again is how often it is looked whether a build has become whole, or a module may leave.
const again = 200 * time.Millisecond

// parting is for how long a call that is under way is waited for at the end.
const parting = 3 * time.Second

// Calls are those that put modules in and take them out. A [worker.Pool] has them.
type Calls interface {
	Load(op uint64, m kernel.Module)
	Unload(op uint64, module string)
	Results() <-chan worker.Result
	Abandon(op uint64)
}

// A Loop is about one file. Its fields are set before Run is called, and not changed then.
type Loop struct {
	File       string // its absolute path
	Parameters string // NAME=VALUE, with blanks between them
	Rebuild    string // the shell's line that builds it, "" for none
	TakeOut    bool   // at the end
	Out        io.Writer

	Calls  Calls
	Check  func(check.Load) check.Report
	Kernel kernel.System
	Tables *match.Tables // of what is installed, nil for nothing
	Users  usage.System
	// Modprobe is the command, as far as its arguments, that puts in what is installed.
	Modprobe []string
	// Log is the file of the kernel's log.
	Log string

	op       uint64
	log      *kmsg.Log
	whose    saidby.Register
	said     chan struct{} // holds a token when the kernel has written something
	busy     bool          // a call is under way: the kernel's lines may be about it
	seen     identity      // of the last build that was looked at
	ready    *build        // is to go in when the one before has left
	held     string        // who holds that one, as was said
	module   string        // its name in the kernel, "" before the first build
	wrong    string        // why a build was not whole, as was said
	since    time.Time     // when it was first not whole
	sources  string        // their sum when the build was last run
	helped   []string      // modules that were put in for it, the last one first
	wanted   []string      // modules that one of these needs, or is
	watching *watch
}

// Run watches until ctx is done, and then says what is left. Of what goes wrong with
// builds it tells Out; the error is about watching.
func (l *Loop) Run(ctx context.Context) error {
	var err error
	if l.watching, err = newWatch(l.File); err != nil {
		return err
	}
	defer l.watching.close()
	l.openLog(ctx)
	defer l.log.Close()
	l.print("watching %s; Ctrl-C ends it", l.File)
	if l.Rebuild == "" || l.build(ctx) {
		l.look(ctx)
	}
	timer := time.NewTicker(again)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-l.said:
			l.hear()
		case <-l.watching.built:
			l.look(ctx)
		case <-l.watching.sources:
			if l.Rebuild != "" && sum(filepath.Dir(l.File)) != l.sources && l.build(ctx) {
				l.look(ctx)
			}
		case <-l.later(timer):
			l.look(ctx)
		}
	}
	return l.end()
}

// later ticks while there is something to be looked at again.
func (l *Loop) later(t *time.Ticker) <-chan time.Time {
	if l.ready == nil && l.since.IsZero() {
		return nil
	}
	return t.C
}

// openLog has the kernel's log heard from now on. Without the right to read it the rest goes
// on.
func (l *Loop) openLog(ctx context.Context) {
	l.said = make(chan struct{}, 1)
	l.whose = saidby.Register{Sys: l.Kernel.Sys, Installed: func(module string) bool { return module == l.module }}
	var err error
	if l.log, err = kmsg.Open(l.Log); err != nil {
		l.print("what the kernel says is not shown: %v", err)
		return
	}
	l.log.New(func(kmsg.Record) {}) // what was before
	go kmsg.Follow(ctx, l.Log, func(kmsg.Record) { nudge(l.said) })
}

// hear shows what the kernel has written since the last time, and is about the module.
func (l *Loop) hear() {
	l.log.New(func(r kmsg.Record) {
		if l.module != "" && (l.whose.Module(r) == l.module || l.busy && l.whose.During(r, l.module)) {
			l.row("kernel", "", "[%12.6f] %s", r.Time.Seconds(), r.Text)
		}
	})
}

func (l *Loop) print(format string, args ...any) { fmt.Fprintf(l.Out, format+"\n", args...) }

// row prints what has come of a step, and how long it took.
func (l *Loop) row(step, took, format string, args ...any) {
	for i, line := range strings.Split(fmt.Sprintf(format, args...), "\n") {
		if i > 0 {
			step, took = "", ""
		}
		l.print("  %-9s %-9s %s", step, took, line)
	}
}

// since is how long it took since then, for people.
func since(begin time.Time) string { return fmt.Sprintf("%d ms", time.Since(begin).Milliseconds()) }

// build runs the command that builds the module, and reports whether there is something
// to look at: it may have failed, or ctx have ended it.
func (l *Loop) build(ctx context.Context) bool {
	l.sources = sum(filepath.Dir(l.File))
	l.print("== %s", l.Rebuild)
	begin := time.Now()
	cmd := l.command(ctx, "/bin/sh", "-c", l.Rebuild)
	cmd.Dir = filepath.Dir(l.File)
	cmd.Stdout, cmd.Stderr = l.Out, l.Out
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		l.row("build", since(begin), "failed (%v); what is in the kernel stays", err)
		return false
	}
	l.row("build", since(begin), "done")
	return true
}

// command is a program that Ctrl-C does not reach: it ends with ctx.
func (l *Loop) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = parting
	return cmd
}

// look takes the build that is there, if it is whole and another one than before, or has
// one that is ready go in.
func (l *Loop) look(ctx context.Context) {
	b, err := readBuild(l.File)
	switch {
	case err != nil && unfinished(err):
		l.unfinished(err)
		return
	case err != nil:
		l.since = time.Time{}
		if l.wrong != err.Error() {
			l.wrong = err.Error()
			l.print("== %s can't be read: %v; waiting for the next build", filepath.Base(l.File), err)
		}
		return
	}
	l.wrong, l.since = "", time.Time{}
	if b.identity != l.seen {
		l.seen, l.ready, l.held = b.identity, nil, ""
		l.print("== %s, %d bytes, of %s", filepath.Base(l.File), b.size, b.at.Format(time.TimeOnly))
		l.isCalled(b.module)
		if l.prepare(ctx, b) {
			l.ready = b
		}
	}
	if l.ready != nil {
		l.replace(ctx)
	}
}

// isCalled takes in the name that a build has in the kernel. One by another name stays, and is
// told of at the end.
func (l *Loop) isCalled(module string) {
	if l.module != "" && l.module != module && !l.absent(l.module) {
		l.row("name", "", "it is called %s now; %s stays in", module, l.module)
		l.helped = append([]string{l.module}, l.helped...)
	}
	l.module = module
}

// unfinished waits for a build to become whole, and says so if that takes long.
func (l *Loop) unfinished(err error) {
	const long = 2 * time.Second
	if l.since.IsZero() {
		l.since = time.Now()
	}
	if time.Since(l.since) > long && l.wrong != err.Error() {
		l.wrong = err.Error()
		l.print("== %s is not whole: %v; waiting", filepath.Base(l.File), err)
	}
}

// prepare puts in what a build needs, and checks it. It reports whether it may go in.
func (l *Loop) prepare(ctx context.Context, b *build) bool {
	l.help(ctx, b)
	begin := time.Now()
	report := l.Check(check.Load{File: l.File, Parameters: l.Parameters, Alone: true, Anew: true})
	failed := report.Failed()
	if failed == nil {
		l.row("check", since(begin), "nothing stands against it")
		return true
	}
	l.row("check", since(begin), "%s: %s", failed.Name, strings.Join(failed.Says, "\n"))
	if failed.Next != "" {
		l.row("", "", "next: %s", failed.Next)
	}
	l.row("", "", "the kernel would refuse it, so what is in stays; waiting for the next build")
	return false
}

// replace takes out the module that is in, as soon as nobody holds it, and puts in the
// build that is ready.
func (l *Loop) replace(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	b := l.ready
	if l.Kernel.State(b.module) != kernel.Absent && !l.unload(ctx, b.module) {
		return
	}
	l.ready = nil
	m := kernel.Module{Name: b.module, File: l.File, Options: l.Parameters}
	result := l.call(ctx, func(op uint64) { l.Calls.Load(op, m) })
	if result.Already && l.unload(ctx, b.module) { // somebody else, kmodd for a device say, was faster
		result = l.call(ctx, func(op uint64) { l.Calls.Load(op, m) })
	}
	switch {
	case result.Err != nil:
		l.row("load", took(result), "%v", result.Err)
		l.row("", "", "waiting for the next build")
		return
	case result.Already:
		l.row("load", took(result), "somebody else has put in a %s meanwhile, which stays; waiting for the next build", b.module)
		return
	}
	l.row("load", took(result), "it is in")
	l.showParameters(b)
}

func took(r worker.Result) string {
	if r.Took == 0 {
		return ""
	}
	return fmt.Sprintf("%d ms", r.Took.Milliseconds())
}

func (l *Loop) showParameters(b *build) {
	for _, p := range b.parameters {
		if value, shown := l.Kernel.Parameter(b.module, p.Name); shown {
			l.row("parameter", "", "%s=%s", p.Name, value)
		}
	}
}

// unload takes a module out unless somebody holds it. Who does is said once.
func (l *Loop) unload(ctx context.Context, module string) bool {
	if holders := l.holders(module); holders != "" {
		if holders != l.held {
			l.held = holders
			l.row("unload", "", "%s can't leave, waiting until it can:\n%s", module, holders)
		}
		return false
	}
	result := l.call(ctx, func(op uint64) { l.Calls.Unload(op, module) })
	switch {
	case errors.Is(result.Err, unix.EAGAIN): // somebody has just begun to use it
		return false
	case errors.Is(result.Err, unix.ENOENT): // it has just gone
	case result.Err != nil:
		l.ready = nil
		l.row("unload", took(result), "%v", result.Err)
		l.row("", "", "waiting for the next build")
		return false
	}
	l.held = ""
	l.row("unload", took(result), "%s is out", module)
	return true
}

// holders says who holds a module, a line each, "" for nobody.
func (l *Loop) holders(module string) string {
	references, modules := l.Kernel.Uses(module)
	if references <= 0 {
		return ""
	}
	var lines []string
	if len(modules) > 0 {
		lines = append(lines, "needed by "+strings.Join(modules, ", "))
	}
	for _, f := range l.Users.Module(module) {
		if f.State == usage.InUse {
			lines = append(lines, strings.TrimSpace(f.Says+" "+f.Device))
		}
	}
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("it has %d references", references)}
	}
	return strings.Join(lines, "\n")
}

// call makes a call and hears the kernel meanwhile. At the end of all it is not waited for
// for long.
func (l *Loop) call(ctx context.Context, begin func(op uint64)) worker.Result {
	l.op++
	l.busy = true
	defer func() { l.hear(); l.busy = false }()
	begin(l.op)
	done := ctx.Done()
	var limit <-chan time.Time
	for {
		select {
		case r := <-l.Calls.Results():
			if r.Op == l.op {
				return r
			}
		case <-l.said:
			l.hear()
		case <-done:
			done, limit = nil, time.After(parting)
		case <-limit:
			l.Calls.Abandon(l.op)
			return worker.Result{Op: l.op, Err: errors.New("the kernel has not come back from it; that goes on without kmodctl")}
		}
	}
}
