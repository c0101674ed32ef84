package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
	"github.com/kmodd/kmodd/cmd/kmodlab/scenario"
)

// run runs scenarios outside of go test.
func run(ctx context.Context, files []string) error {
	if len(files) == 0 {
		return errors.New("run: name the files of scenarios, such as testdata/scenarios/hotplug.txtar")
	}
	build, err := lab.Prepare(ctx, os.Stderr, lab.Programs...)
	if err != nil {
		return err
	}
	all := &report{}
	scenario.NewRunner(ctx, build).Run(all, files...)
	all.scripts.Wait()
	if all.Failed() {
		return errors.New("run: not everything passed")
	}
	return nil
}

// A report is what testscript wants of a testing.T. Scripts run at the same
// time, as far as their machines find room.
type report struct {
	name    string
	parent  *report
	failed  atomic.Bool
	scripts sync.WaitGroup
}

var _ testscript.T = (*report)(nil)

// Run starts a script.
func (r *report) Run(name string, script func(testscript.T)) {
	r.scripts.Go(func() {
		one := &report{name: name, parent: r}
		// FailNow and Skip end the goroutine that they are called in.
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			script(one)
		}()
		<-ended
		fmt.Printf("%s %s\n", map[bool]string{true: "FAIL", false: "ok  "}[one.Failed()], name)
	})
}

func (r *report) FailNow() {
	for ; r != nil; r = r.parent {
		r.failed.Store(true)
	}
	runtime.Goexit()
}

func (r *report) Fatal(args ...any) { r.Log(args...); r.FailNow() }
func (r *report) Skip(args ...any)  { r.Log(args...); runtime.Goexit() }
func (r *report) Log(args ...any)   { fmt.Println(strings.TrimRight(fmt.Sprint(args...), "\n")) }
func (r *report) Failed() bool      { return r.failed.Load() }
func (r *report) Parallel()         {}
func (r *report) Verbose() bool     { return false }

// verbs prints the table of verbs.
func verbs(context.Context, []string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, v := range scenario.Verbs {
		fmt.Fprintf(w, "%s %s\n", v.Name, v.Usage)
		for _, line := range wrap(v.Doc, 90) {
			fmt.Fprintf(w, "\t%s\n", line)
		}
	}
	return w.Flush()
}

// wrap breaks a text into lines of at most width bytes where its words allow
// that.
func wrap(text string, width int) []string {
	var lines []string
	var line string
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
