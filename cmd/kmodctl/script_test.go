package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/multicall"
	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/kofiletest"
)

func TestMain(m *testing.M) {
	programs := map[string]func(){"kmodctl": func() {
		kernelLog, idsRoot = os.Getenv("KERNEL_LOG"), os.Getenv("IDS_ROOT")
		if root := os.Getenv("BOARD_ROOT"); root != "" {
			here = board{root: root, sys: root + "/sys", proc: root + "/proc", release: "6.1.0-49-amd64", machine: "x86_64"}
		}
		if root := os.Getenv("USAGE_ROOT"); root != "" {
			inspected = usage.System{Sys: root + "/sys", Proc: root + "/proc", Dev: root + "/dev"}
		}
		main()
	}, worker.AbleName: main}
	for name := range multicall.Tools {
		programs[name] = main
	}
	testscript.Main(m, programs)
}

// The scripts in testdata say what each command prints. Besides kmodctl itself
// they have these commands:
//
//	daemon FILE       answer as a daemon would whose state is in FILE
//	quit              end that daemon
//	usage ARGS        run kmodctl, which must find the command line wrong
//	module FILE SPEC  make a module's file of what SPEC says, see makeModule
//	log FILE          have the lines of FILE be the kernel's log, for one program
//	nuls FILE         end the lines of FILE with NUL, as modules.builtin.modinfo has them
//	links FILE        make the symbolic links that are in FILE, a line
//	                  PATH -> TARGET for each
//	! watch [--json]  run kmodctl monitor while FILE's notes come, then end the
//	                  daemon
func TestScripts(t *testing.T) {
	t.Run("in", scripts) // scripts run in parallel, and end before this returns
	goleak.VerifyNone(t)
}

func scripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"pc.json", "signed.ko", "signing.pem"} {
				if err := copyFile(filepath.Join("testdata", name), filepath.Join(env.WorkDir, name)); err != nil {
					return err
				}
			}
			env.Setenv("KERNEL_LOG", os.DevNull)
			env.Setenv("IDS_ROOT", env.WorkDir)
			env.Setenv("BOARD_ROOT", filepath.Join(env.WorkDir, "board"))
			env.Setenv("KMODD_SOCKET", filepath.Join(env.WorkDir, "io.kmodd"))
			env.Values[machineKey{}] = new(machine)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon": startDaemon,
			"quit":   func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value(machineKey{}).(*machine).stop() },
			"links":  makeLinks,
			"module": makeModule,
			"log":    makeLog,
			"nuls":   endLinesWithNUL,
			"watch":  watch,
			"usage":  misuse,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition")
		},
	})
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// A machine is a daemon's state at one moment, and what happens next.
type machine struct {
	Status  control.Status
	Devices []control.Device
	Modules []control.Module
	Metrics control.Metrics
	Boot    control.Boot
	Why     map[string]control.Story
	Notes   []control.Note
	Refuses string // the name of the error that changes are answered with

	published control.Notes
	stop      func() // the daemon
}

func (m *machine) Ask(ctx context.Context, r control.Request) (any, error) {
	switch r := r.(type) {
	case control.StatusRequest:
		return m.Status, nil
	case control.DevicesRequest:
		return m.Devices, nil
	case control.ModulesRequest:
		return m.Modules, nil
	case control.BootRequest:
		return m.Boot, nil
	case control.MetricsRequest:
		return m.Metrics, nil
	case control.WhyRequest:
		if s, ok := m.Why[r.Subject]; ok {
			return s, nil
		}
		return nil, control.NotFound(r.Subject)
	case control.SettleRequest:
		if !m.Status.Settled {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	if m.Refuses != "" {
		return nil, &control.Error{Name: m.Refuses}
	}
	return nil, nil
}

// machineKey is where a script keeps its machine.
type machineKey struct{}

func startDaemon(ts *testscript.TestScript, _ bool, args []string) {
	m := ts.Value(machineKey{}).(*machine)
	*m = machine{}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), m))
	l, err := control.Listen(ts.Getenv("KMODD_SOCKET"))
	ts.Check(err)
	server := &control.Server{Listener: l, Version: "0.1.0", Handler: m, Notes: &m.published, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	<-server.Ready()
	m.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	ts.Defer(m.stop)
}

// makeLinks is for what is full of links, which txtar has none of: sysfs.
func makeLinks(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		path, target, _ := strings.Cut(strings.TrimSpace(line), " -> ")
		path = ts.MkAbs(path)
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.Symlink(target, path))
	}
}

func misuse(ts *testscript.TestScript, _ bool, args []string) {
	if got := run(args, nil, ts.Stdout(), ts.Stderr()); got != exitUsage {
		ts.Fatalf("kmodctl ended with %d, want %d", got, exitUsage)
	}
}

// watch runs monitor in this process. When it says that it listens, the notes
// are published, and when it has written each of them the daemon ends.
func watch(ts *testscript.TestScript, neg bool, args []string) {
	m := ts.Value(machineKey{}).(*machine)
	writes := 0
	written := func() {
		writes++
		if writes == 1 {
			for _, n := range m.Notes {
				m.published.Publish(n)
			}
		}
		if writes == 1+len(m.Notes) {
			m.stop()
		}
	}
	args = append([]string{"monitor", "--socket", ts.Getenv("KMODD_SOCKET")}, args...)
	status := run(args, nil, &observed{ts.Stdout(), written}, &observed{ts.Stderr(), written})
	if neg != (status != 0) {
		ts.Fatalf("monitor ended with %d", status)
	}
}

// observed tells of each write, of which monitor makes one per note.
type observed struct {
	io.Writer
	written func()
}

func (o *observed) Write(p []byte) (int, error) {
	defer o.written()
	return o.Writer.Write(p)
}

// makeModule makes a module's file. Each line of the other file says one thing:
//
//	info KEY=VALUE                             a field of .modinfo
//	export NAME CRC all|gpl [NAMESPACE]        a symbol, and who may use it
//	need NAME
//	code BYTES
func makeModule(ts *testscript.TestScript, _ bool, args []string) {
	var m kofiletest.Module
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		words := append(strings.Fields(rest), "", "", "", "")
		number, _ := strconv.ParseUint(words[1], 0, 32)
		switch verb {
		case "info":
			m.Info = append(m.Info, rest)
		case "export":
			m.Exports = append(m.Exports, kofile.Export{Name: words[0], CRC: number, GPL: words[2] == "gpl", Namespace: words[3]})
		case "need":
			m.Needs = append(m.Needs, kofile.Need{Name: words[0]})
		case "code":
			bytes, err := strconv.Atoi(words[0])
			ts.Check(err)
			m.Code = bytes
		default:
			ts.Fatalf("%s: %q", args[1], line)
		}
	}
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, m.Bytes(), 0o644))
}

// makeLog puts records into a pipe, which in its packet mode gives one to each read, as
// /dev/kmsg does.
func makeLog(ts *testscript.TestScript, _ bool, args []string) {
	var ends [2]int
	ts.Check(unix.Pipe2(ends[:], unix.O_DIRECT|unix.O_CLOEXEC))
	ts.Defer(func() { unix.Close(ends[0]); unix.Close(ends[1]) })
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		_, err := unix.Write(ends[1], []byte(line))
		ts.Check(err)
	}
	ts.Setenv("KERNEL_LOG", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ends[0]))
}

func endLinesWithNUL(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\x00")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
