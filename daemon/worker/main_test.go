package worker_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

// The test's own program is the worker's too, as the daemon's is.
func TestMain(m *testing.M) {
	if os.Getenv(unable) != "" {
		exit(worker.Serve(acts{}, worker.Abilities{}))
	}
	switch os.Args[0] {
	case worker.Name:
		exit(worker.Serve(acts{}, worker.Abilities{}))
	case worker.AbleName:
		exit(worker.Serve(acts{}, worker.Abilities{Unpack: unpack, InUse: func(path string) string { return "asked about " + path }, Survey: survey, Tend: tend}))
	case daemonName:
		daemon()
	}
	goleak.VerifyTestMain(m)
}

// unable is set for a program that has lost its abilities.
const unable = "WORKER_TEST_UNABLE"

// exit is os.Exit without its last steps, which under the race detector wait
// for threads that the kernel ended.
func exit(status int) { unix.Exit(status) }

// unpack is a decompressor that finds fault with files called broken.
func unpack(to io.Writer, from *os.File) error {
	if filepath.Base(from.Name()) == "broken" {
		return errors.New("a checksum differs")
	}
	_, err := io.WriteString(to, "misses unpacked.bin")
	return err
}

// survey finds the question, and as much as the module's name says.
func survey(q worker.Question) worker.Survey {
	found := worker.Survey{Says: fmt.Sprintf("%+v", q)}
	switch n, err := strconv.Atoi(q.Module); {
	case q.Module == "is_killed":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case err == nil:
		found = worker.Survey{Devices: []string{"/devices/d"}, Must: []string{"snd"}, InUse: strings.Repeat("x", n),
			Openings: []kernel.Opening{{Alias: "char-major-81-0", Name: "video0", Links: []string{"v4l/by-id/a", "v4l/ü"}}}}
	}
	return found
}

// tend keeps what it is to uncover, and says what else it is asked for.
func tend(what worker.Placeholders) error {
	if what.How == worker.Uncover {
		return nil
	}
	return errors.Join(fmt.Errorf("asked for %+v", what), errors.New("and more"))
}

// acts is a kernel that does what the module's name says. What it tells the
// test it tells in an error's words.
type acts struct{}

func (acts) Load(m kernel.Module, f *os.File, how kernel.How) error {
	says := func(words string) error { return &kernel.Error{Op: "load", Errno: unix.ENOTNAM, Words: words} }
	switch m.Name {
	case "tells_pid":
		return says(strconv.Itoa(os.Getpid()))
	case "tells_files":
		return says(strings.Join(openFiles(), "\n"))
	case "tells_call":
		content, err := io.ReadAll(f)
		return says(fmt.Sprintf("%s %s %q %d %q %v", f.Name(), m.File, m.Options, how, content, err))
	case "tells_environment":
		return says(strings.Join(os.Environ(), "\n"))
	case "is_there":
		return &kernel.Error{Op: "load", Errno: unix.EEXIST}
	case "hangs":
		return hang(m.Options)
	case "is_killed":
		return unix.Kill(os.Getpid(), unix.SIGKILL)
	case "oopses":
		// Of this thread only, as an oops does. Not a RawSyscall: the runtime
		// must know, as it does of finit_module, that the thread is in a call.
		unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	case "real":
		return kernel.System{}.Load(m, f, how)
	}
	return nil
}

// Inspect finds that what the file's content names is missing, and that it requests
// others if it says so.
func (acts) Inspect(image io.ReaderAt, size int64, requests bool) (found kernel.Inspection) {
	content, _ := io.ReadAll(io.NewSectionReader(image, 0, size))
	if list, ok := strings.CutPrefix(string(content), "misses "); ok {
		found.Firmware.Missing = strings.Fields(list)
		found.Firmware.Total = len(found.Firmware.Missing) + 1
		found.NamesFirmware = true
	}
	switch {
	case requests && string(content) == "requests":
		found.Requests = kernel.RequestsOthers
	case requests:
		found.Requests = kernel.RequestsNone
	}
	return found
}

func (acts) LoadImage(m kernel.Module, image []byte) error {
	return &kernel.Error{Op: "load", Errno: unix.ENOTNAM, Words: fmt.Sprintf("%s %q", m.File, image)}
}

// Probe writes like the kernel's drivers_probe reads: one name.
func (acts) Probe(device string, f *os.File) error {
	if device == "is_killed" {
		return unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	_, err := f.WriteString(device)
	return err
}

func (acts) Settings(module string) string { return "of=" + module }

func (acts) Set(module, settings string) error {
	if settings == "" {
		return nil
	}
	return errors.New(module + " refuses " + settings)
}

func (acts) Memory() (int64, bool) { return 0, true }

func (acts) Unload(module string) error {
	if module == "oopses" {
		unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	}
	return &kernel.Error{Op: "unload", Module: module, Errno: unix.EAGAIN, Words: "in use"}
}

func (acts) Assign(a kernel.Assignment, inUse func(string) string) (kernel.Assigned, error) {
	if a.Gently {
		return kernel.Assigned{Module: "has_it"}, &kernel.Error{Op: kernel.OpInUse, Words: fmt.Sprintf("%+v %s", a, inUse(a.Path))}
	}
	return kernel.Assigned{Module: a.Module, Held: true}, nil
}

// hang returns when somebody opens a FIFO and closes it again.
func hang(fifo string) error {
	if err := os.WriteFile(fifo+".pid", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	f, err := os.Open(fifo)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.ReadAll(f)
	return err
}

func openFiles() []string {
	var files []string
	for fd := range 64 {
		if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			files = append(files, fmt.Sprintf("%d %s", fd, target))
		}
	}
	return files
}
