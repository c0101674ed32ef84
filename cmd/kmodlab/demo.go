package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
	"github.com/kmodd/kmodd/daemon/control"
)

// demo shows the main job: a kernel with kmodd in it, devices that are there
// when it starts and devices that are plugged in while one watches.
func demo(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("demo: it takes no argument, %q is one", args[0])
	}
	build, err := lab.Prepare(ctx, os.Stderr, lab.Programs...)
	if err != nil {
		return err
	}
	s := &show{out: os.Stdout}
	s.title("Debian's Linux %s boots in QEMU, without a driver that is a module", build.Kernel.Version)
	began := time.Now()
	m, err := build.Boot(ctx, lab.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	s.machine = m
	s.say("up after %.1f s", time.Since(began).Seconds())
	ctx, cancel := context.WithCancel(ctx)
	defer s.monitor.Wait()
	defer cancel()
	for _, act := range []func(context.Context) error{s.coldplug, s.disk, s.card, s.unplug, s.table} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A show is the demonstration in progress.
type show struct {
	machine *lab.Machine
	monitor sync.WaitGroup // the goroutine that prints what kmodctl monitor says

	mu      sync.Mutex // protects what follows: the monitor writes beside the show
	out     io.Writer
	details bool // of the monitor, everything is shown

	devices []control.Device // when everything was plugged in
}

// coldplug starts kmodd, and waits until everything that is there is served.
func (s *show) coldplug(ctx context.Context) error {
	s.title("kmodd starts, and loads the drivers of what is there")
	if _, err := s.machine.Spawn(ctx, "kmodd", "kmodd"); err != nil {
		return err
	}
	if err := s.wait(ctx, "kmodctl", "status"); err != nil {
		return err
	}
	if _, err := s.machine.Spawn(ctx, "monitor", "kmodctl", "monitor"); err != nil {
		return err
	}
	s.monitor.Go(func() { s.listen(ctx) })
	if err := s.wait(ctx, "sh", "-c", "kmodctl status | grep -q settled:"); err != nil {
		return err
	}
	s.tell(true)
	return s.run(ctx, "kmodctl", "status")
}

func (s *show) disk(ctx context.Context) error {
	s.title("a USB disk is plugged in")
	if err := s.machine.Plug(ctx, "stick", "usb-storage", nil); err != nil {
		return err
	}
	if err := s.wait(ctx, "test", "-b", "/dev/sda"); err != nil {
		return err
	}
	s.tell(false) // what mounting loads is not our doing
	defer s.tell(true)
	for _, command := range []string{"mount -t vfat /dev/sda /mnt", "cat /mnt/hello.txt", "umount /mnt"} {
		if err := s.run(ctx, strings.Fields(command)...); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) card(ctx context.Context) error {
	s.title("a network card is plugged in")
	if err := s.machine.Plug(ctx, "card", "e1000e", map[string]any{"mac": "52:54:00:12:34:56"}); err != nil {
		return err
	}
	if err := s.wait(ctx, "sh", "-c", "grep -q 52:54:00:12:34:56 /sys/class/net/*/address"); err != nil {
		return err
	}
	if err := s.run(ctx, "ip", "link", "show", "eth0"); err != nil {
		return err
	}
	var list control.DeviceList
	err := s.ask(ctx, &list, "kmodctl", "devices", "--json")
	s.devices = list.Devices
	return err
}

func (s *show) unplug(ctx context.Context) error {
	s.title("both are unplugged")
	for _, id := range []string{"stick", "card"} {
		if err := s.machine.Unplug(ctx, id); err != nil {
			return err
		}
	}
	return s.wait(ctx, "sh", "-c", "! kmodctl devices | grep -qE 'e1000e|usb_storage'")
}

// table says what was loaded, when and why.
func (s *show) table(ctx context.Context) error {
	s.tell(false)
	s.title("what was loaded, when, and why")
	var modules control.ModuleList
	if err := s.ask(ctx, &modules, "kmodctl", "modules", "--json"); err != nil {
		return err
	}
	users, err := s.users(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(modules.Modules, func(a, b control.Module) int { return cmp.Compare(a.Live, b.Live) })
	s.mu.Lock()
	defer s.mu.Unlock()
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "   LIVE\tTOOK\tMODULE\tBECAUSE OF")
	for _, mod := range modules.Modules {
		if mod.Ours {
			took := (mod.Live - mod.Began).Round(time.Millisecond)
			fmt.Fprintf(w, "   %.3f s\t%v\t%s\t%s\n", mod.Live.Seconds(), took, mod.Name, s.cause(mod, users))
		}
	}
	return w.Flush()
}

// users says which modules use each module, by the kernel's own list.
func (s *show) users(ctx context.Context) (map[string]string, error) {
	text, err := s.machine.ReadFile(ctx, "/proc/modules")
	users := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		// NAME SIZE COUNT USER,USER, STATE ADDRESS, proc_modules(5)
		if f := strings.Fields(line); len(f) > 3 {
			users[f[0]] = strings.Trim(f[3], ",-")
		}
	}
	return users, err
}

// cause is why a module was loaded: a device that it matches, or the modules
// that need it.
func (s *show) cause(mod control.Module, users map[string]string) string {
	for _, d := range s.devices {
		if d.Path == mod.For && slices.Contains(d.Modules, mod.Name) {
			return d.Subsystem + " device " + short(d.Modalias)
		}
	}
	if users[mod.Name] == "" {
		return "wanted by a softdep"
	}
	return "needed by " + strings.ReplaceAll(users[mod.Name], ",", ", ")
}

// short cuts what is too long for a table.
func short(text string) string {
	if len(text) > 60 {
		return text[:60] + "..."
	}
	return text
}

// listen prints what kmodctl monitor says until the show is over.
func (s *show) listen(ctx context.Context) {
	var rest []byte
	take := func(_ agentwire.Stream, data []byte) {
		lines := bytes.Split(append(rest, data...), []byte("\n"))
		rest = bytes.Clone(lines[len(lines)-1])
		for _, line := range lines[:len(lines)-1] {
			s.note(string(line))
		}
	}
	// Without it the show is less to look at, and goes on.
	r := agentwire.Request{Op: agentwire.Read, Path: agentwire.LogFile("monitor"), Follow: true}
	_, _ = s.machine.Do(ctx, r, nil, take)
}

// note prints a line of the monitor: of a coldplug's many, only what has come
// to life.
func (s *show) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.details || strings.Contains(line, "] live ") {
		fmt.Fprintln(s.out, "   "+line)
	}
}

// tell has all of the monitor shown, or little.
func (s *show) tell(details bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.details = details
}

func (s *show) title(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n== "+format+"\n", args...)
}

func (s *show) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "   "+format+"\n", args...)
}

// wait waits until a command in the guest succeeds.
func (s *show) wait(ctx context.Context, argv ...string) error {
	result, err := s.machine.Until(ctx, time.Minute, argv...)
	if err != nil {
		return fmt.Errorf("wait for %s: %w\n%s%s", strings.Join(argv, " "), err, result.Stdout, result.Stderr)
	}
	return nil
}

// run runs a command in the guest for everybody to see.
func (s *show) run(ctx context.Context, argv ...string) error {
	result, err := s.machine.Run(ctx, argv...)
	if err != nil {
		return err
	}
	s.say("# %s", strings.Join(argv, " "))
	for line := range strings.Lines(result.Stdout + result.Stderr) {
		s.say("%s", strings.TrimRight(line, "\n"))
	}
	if result.Exit != 0 {
		return fmt.Errorf("%s: exit status %d", strings.Join(argv, " "), result.Exit)
	}
	return nil
}

// ask decodes what a command in the guest prints.
func (s *show) ask(ctx context.Context, into any, argv ...string) error {
	result, err := s.machine.Run(ctx, argv...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(result.Stdout), into); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, result.Stderr)
	}
	return nil
}
