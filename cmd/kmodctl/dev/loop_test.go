package dev

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/check"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A bench is a loop over a kernel that is a tree of files.
type bench struct {
	*Loop
	t       *testing.T
	sys     string
	results chan worker.Result

	mu      sync.Mutex // the loop's goroutine and the test's share what follows
	text    bytes.Buffer
	refuses string // what the check says of the next builds, "" for nothing
	fails   error  // of loads
}

func (b *bench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *bench) Results() <-chan worker.Result { return b.results }
func (b *bench) Abandon(uint64)                {}

func (b *bench) Load(op uint64, m kernel.Module) {
	b.mu.Lock()
	err := b.fails
	b.mu.Unlock()
	if err == nil {
		b.is(m.Name, 0)
	}
	b.results <- worker.Result{Op: op, Took: time.Millisecond, Err: err}
}

func (b *bench) Unload(op uint64, module string) {
	_ = os.RemoveAll(filepath.Join(b.sys, "module", module))
	b.results <- worker.Result{Op: op, Took: time.Millisecond}
}

// is has a module be in the kernel, with so many references.
func (b *bench) is(module string, references int) {
	b.file(filepath.Join(b.sys, "module", module, "initstate"), "live\n")
	b.file(filepath.Join(b.sys, "module", module, "refcnt"), fmt.Sprintln(references))
}

func (b *bench) file(name, text string) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.t.Error(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		b.t.Error(err)
	}
}

// module is a module's file.
func (b *bench) module(version string) []byte {
	return kofiletest.Module{Info: []string{"name=hello", "license=GPL", "version=" + version}}.Bytes()
}

// moves moves a build over the file, as make does.
func (b *bench) moves(content []byte) {
	b.file(b.File+".new", string(content))
	if err := os.Rename(b.File+".new", b.File); err != nil {
		b.t.Error(err)
	}
}

// begin runs the loop until the test ends.
func begin(t *testing.T, prepare func(*bench)) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, sys: filepath.Join(dir, "sys"), results: make(chan worker.Result, 1)}
	system := kernel.System{Sys: b.sys, Proc: dir}
	b.Loop = &Loop{File: filepath.Join(dir, "src/hello.ko"), Out: b, Calls: b, Kernel: system,
		Users: usage.System{Sys: b.sys, Proc: dir, Dev: dir}, Log: filepath.Join(dir, "nolog"),
		Check: func(check.Load) (r check.Report) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.refuses != "" {
				r.Steps = []check.Step{{Name: check.Magic, Result: check.Fails, Says: []string{b.refuses}, Next: "build it anew"}}
			}
			return r
		}}
	b.file(filepath.Join(dir, "src/hello.c"), "1")
	prepare(b)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	b.waits("watching ", 1)
	return b
}

// waits waits until a text was said so often.
func (b *bench) waits(text string, times int) {
	b.t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if said := b.said(); strings.Count(said, text) >= times {
			return
		} else if time.Now().After(until) {
			b.t.Fatalf("%q is not said %d times:\n%s", text, times, said)
		}
	}
}

func (b *bench) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// never has it fail if a text was said more often.
func (b *bench) never(text string, more int) {
	b.t.Helper()
	time.Sleep(4 * quiet)
	if said := b.said(); strings.Count(said, text) > more {
		b.t.Errorf("%q is said more than %d times:\n%s", text, more, said)
	}
}

func TestABuildThatIsWrittenSlowlyIsTakenWhenItIsWholeAndOnce(t *testing.T) {
	b := begin(t, func(*bench) {})
	content := b.module("1")
	f, err := os.Create(b.File)
	if err != nil {
		t.Fatal(err)
	}
	for part := range 4 {
		_, _ = f.Write(content[part*len(content)/4 : (part+1)*len(content)/4])
		time.Sleep(2 * quiet)
	}
	b.never("== hello.ko, ", 0) // somebody still has it open, which is said if it takes long
	f.Close()
	b.waits("it is in", 1)
	b.file(b.File, string(content[:len(content)-10])) // cut short, though nobody writes
	b.never("== hello.ko, ", 1)
	b.moves(b.module("2"))
	b.waits("it is in", 2)
	b.never("it is in", 2)
}

func TestTheOneBeforeStaysIfTheCheckRefusesABuild(t *testing.T) {
	b := begin(t, func(b *bench) { b.moves(b.module("1")) })
	b.waits("it is in", 1)
	b.mu.Lock()
	b.refuses = "it is built for another kernel"
	b.mu.Unlock()
	b.moves(b.module("2"))
	b.waits("vermagic: it is built for another kernel", 1)
	b.waits("next: build it anew", 1)
	b.never("hello is out", 0)
}

func TestAfterALoadThatFailedTheNextBuildIsAwaited(t *testing.T) {
	b := begin(t, func(b *bench) {
		b.fails = &kernel.Error{Op: "load", Module: "hello", Errno: unix.EIO, Words: "its init refused"}
		b.moves(b.module("1"))
	})
	b.waits("EIO: its init refused", 1)
	b.mu.Lock()
	b.fails = nil
	b.mu.Unlock()
	b.moves(b.module("2"))
	b.waits("it is in", 1)
}

func TestAModuleThatIsInUseIsWaitedForAndWhoHoldsItIsSaidOnce(t *testing.T) {
	b := begin(t, func(b *bench) {
		b.is("hello", 1)
		b.moves(b.module("1"))
	})
	b.waits("hello can't leave", 1)
	b.never("hello can't leave", 1)
	b.is("hello", 0)
	b.waits("hello is out", 1)
	b.waits("it is in", 1)
}

func TestSourcesThatChangeAreBuiltAndWhatTheBuildMakesIsNot(t *testing.T) {
	b := begin(t, func(b *bench) {
		b.file(filepath.Join(filepath.Dir(b.File), "built"), string(b.module("1")))
		b.Rebuild = "echo built; cp built new.ko; mv new.ko hello.ko; date > hello.mod.c; date > .hello.c.swp"
	})
	b.waits("it is in", 1)
	b.never("\nbuilt", 1)
	b.file(filepath.Join(filepath.Dir(b.File), "hello.c"), "2")
	b.waits("\nbuilt", 2)
	b.waits("it is in", 2)
	b.file(filepath.Join(filepath.Dir(b.File), "hello.c"), "2") // saved as it was
	b.never("\nbuilt", 2)
}

func TestABuildThatFailsLeavesWhatIsIn(t *testing.T) {
	b := begin(t, func(b *bench) {
		b.moves(b.module("1"))
		b.Rebuild = "exit 3"
	})
	b.waits("failed (exit status 3)", 1)
	b.never("it is in", 0) // the file of an earlier build
	b.moves(b.module("2"))
	b.waits("it is in", 1)
}

func TestSourcesAreWhatSomebodyWrites(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, "hello.o": false, "hello.mod.c": false, ".hello.c.swp": false, "hello.ko": false, "hello.c~": false,
		"hello.c": true, "hello.h": true, "Makefile": true, "Kbuild": true,
	} {
		if isSource(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
