package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
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
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
	"github.com/kmodd/kmodd/daemon/control"
)

// demo shows the main job: a kernel with kmodd in it, devices that are there
// when it starts and devices that are plugged in while one watches.
func demo(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	name := flags.String("board", "pc", "the board to show it on: pc, pc-rt, virt, rpi3 or sabrelite")
	if err := flags.Parse(args); err != nil {
		return err
	}
	board, err := qemu.FindBoard(*name)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	build, err := lab.Prepare(ctx, os.Stderr, lab.Programs...)
	if err != nil {
		return err
	}
	s := &show{out: os.Stdout, board: board}
	s.title("Debian's Linux boots on %s in QEMU, without a driver that is a module", board.About)
	began := time.Now()
	m, err := build.Boot(ctx, lab.Options{Board: board.Name})
	if err != nil {
		return err
	}
	defer m.Close()
	s.machine = m
	if err := s.run(ctx, "uname", "-srm"); err != nil {
		return err
	}
	s.say("up after %.1f s", time.Since(began).Seconds())
	ctx, cancel := context.WithCancel(ctx)
	defer s.monitor.Wait()
	defer cancel()
	for _, act := range s.acts() {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// A show is the demonstration in progress.
type show struct {
	board   *qemu.Board
	machine *lab.Machine
	monitor sync.WaitGroup // the goroutine that prints what kmodctl monitor says

	mu      sync.Mutex // protects what follows: the monitor writes beside the show
	out     io.Writer
	details bool // of the monitor, everything is shown

	devices []control.Device // that were there at any time
}

// acts are what the board has to show.
func (s *show) acts() []func(context.Context) error {
	acts := []func(context.Context) error{s.coldplug}
	if s.board.HasCard {
		acts = append(acts, s.sdCard)
	}
	acts = append(acts, s.disk)
	if s.board.Slots > 0 {
		acts = append(acts, s.card)
	}
	acts = append(acts, s.unplug)
	if s.board.Name == "pc" {
		acts = append(acts, s.camera)
	}
	return append(acts, s.table)
}

// camera has a camera's driver sleep while nobody looks, and wake for a picture.
func (s *show) camera(ctx context.Context) error {
	s.title("the second act: a USB camera, whose driver is to sleep when nobody has used it for 3 s")
	rule := "[[rule]]\nclass = \"camera\"\nidle = \"3s\"\n"
	if err := s.machine.WriteFile(ctx, "/etc/kmodd/kmodd.toml", []byte(rule), 0o644); err != nil {
		return err
	}
	s.tell(false)
	for _, line := range strings.Split(strings.TrimSpace(rule), "\n") {
		s.say("%s", line)
	}
	if err := s.machine.Plug(ctx, "camera", "uvc-camera", nil); err != nil {
		return err
	}
	if err := s.wait(ctx, "sh", "-c", "test -c /dev/video0 && kmodctl settle"); err != nil {
		return err
	}
	if err := s.list(ctx); err != nil {
		return err
	}
	s.title("a picture is taken, and then nobody uses it: the driver goes, and what it alone needed")
	s.tell(true)
	if err := s.run(ctx, "capture", "/dev/video0", "1"); err != nil {
		return err
	}
	if err := s.wait(ctx, "sh", "-c", "kmodctl why uvcvideo | grep -q 'it sleeps since'"); err != nil {
		return err
	}
	s.tell(false)
	for _, command := range []string{"ls -l /dev/video0", "kmodctl memory | grep -E '^MODULE|uvc|video|mc |gone to sleep'"} {
		if err := s.run(ctx, "sh", "-c", command); err != nil {
			return err
		}
	}
	s.title("somebody opens it: the same open() wakes it")
	s.tell(true)
	return s.run(ctx, "capture", "/dev/video0", "1")
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

// sdCard shows the card that was there from the beginning.
func (s *show) sdCard(ctx context.Context) error {
	s.title("the SD card can be read")
	s.tell(false)
	defer s.tell(true)
	return s.read(ctx, "/dev/mmcblk0")
}

func (s *show) disk(ctx context.Context) error {
	s.title("a USB disk is plugged in")
	props := map[string]any{}
	if s.board.HasCard { // its only port: QEMU would put a hub between
		props["port"] = "1"
	}
	if err := s.machine.Plug(ctx, "stick", "usb-storage", props); err != nil {
		return err
	}
	if err := s.wait(ctx, "test", "-b", "/dev/sda"); err != nil {
		return err
	}
	s.tell(false) // what mounting loads is not our doing
	defer s.tell(true)
	if err := s.read(ctx, "/dev/sda"); err != nil {
		return err
	}
	return s.list(ctx)
}

// read shows what is on a disk.
func (s *show) read(ctx context.Context, device string) error {
	for _, command := range []string{"mount -t vfat " + device + " /mnt", "cat /mnt/hello.txt", "umount /mnt"} {
		if err := s.run(ctx, strings.Fields(command)...); err != nil {
			return err
		}
	}
	return nil
}

// list notes the devices that are there, for the table.
func (s *show) list(ctx context.Context) error {
	var list control.DeviceList
	err := s.ask(ctx, &list, "kmodctl", "devices", "--json")
	s.devices = append(s.devices, list.Devices...) // what was unplugged since is in the table, too
	return err
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
	return s.list(ctx)
}

func (s *show) unplug(ctx context.Context) error {
	s.title("what was plugged in is unplugged")
	plugged := []string{"stick"}
	if s.board.Slots > 0 {
		plugged = append(plugged, "card")
	}
	for _, id := range plugged {
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

// showTime is how long one act may take.
const showTime = 3 * time.Minute

// wait waits until a command in the guest succeeds.
func (s *show) wait(ctx context.Context, argv ...string) error {
	result, err := s.machine.Until(ctx, showTime, argv...)
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
