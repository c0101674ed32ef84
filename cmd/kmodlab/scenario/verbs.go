package scenario

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// A Verb is a command of the bench for scenarios.
type Verb struct {
	Name  string
	Usage string // its arguments
	Doc   string // what it does, in sentences
	run   func(s *stage, ts *testscript.TestScript, neg bool, args []string) error
	// alone says that the verb works before there is a machine.
	alone bool
	// negated says that the verb has a meaning with ! before it.
	negated bool
}

// Verbs are all of them, in the order of their use.
var Verbs = []Verb{
	{
		Name: "boot", Usage: "[board=NAME] [debian|debian-kmodd] [full] [busy-pc] [append WORD...]", run: boot, alone: true,
		Doc: "Starts the scenario's machine. It is restored from a template in a tenth of a second, unless a full boot is asked for: " +
			"by that word, with the devices of a busy PC, or with more words for the kernel command line. debian has systemd and systemd-udevd, and kmodd installed and not switched on; " +
			"debian-kmodd is what a boot with kmodd switched on makes of it. The board is a PC unless another is named: pc-rt, which has a kernel for real time, virt, rpi3 or sabrelite, of which the last two are always booted. A second boot ends the machine and starts another in its place.",
	},
	{
		Name: "plug", Usage: "NAME KIND [PROPERTY=VALUE...]", run: plug,
		Doc: "Plugs a device in and calls it NAME. KIND is QEMU's name of a device: usb-storage, usb-net, usb-serial, usb-kbd, usb-audio, " +
			"e1000e, vmxnet3, nvme, virtio-rng-pci and others. A disk holds a FAT file system with the file hello.txt. " +
			"uvc-camera is a USB camera that a background command of that NAME plays, by vhci_hcd, which is loaded for it; " +
			"its properties are vendorid, productid and serial. The guest's command capture DEVICE COUNT takes pictures.",
	},
	{
		Name: "unplug", Usage: "NAME", run: unplug,
		Doc: "Pulls the device out and waits until it has gone.",
	},
	{
		Name: "suspend", Usage: "", run: suspend,
		Doc: "Suspends a PC to idle, and wakes it some seconds later by its power button.",
	},
	{
		Name: "guest", Usage: "[-as UID] [-bg NAME] COMMAND [ARGUMENT...]", run: guest, negated: true,
		Doc: "Runs a command in the guest, as root or as UID. stdout and stderr then match its output. With ! the command shall fail, by itself or by a signal. " +
			"With -bg it stays in the background, as NAME, and its output is kept.",
	},
	{
		Name: "wait-for", Usage: "[-timeout 30s] [!] COMMAND [ARGUMENT...]", run: waitFor,
		Doc: "Runs a command in the guest again and again until it succeeds, or with ! until it fails. stdout and stderr then match the last run's output.",
	},
	{
		Name: "signal", Usage: "NAME HUP|INT|KILL|STOP|CONT|TERM|USR1", run: sendSignal,
		Doc: "Sends a signal to the background command NAME.",
	},
	{
		Name: "ended", Usage: "[-timeout 30s] NAME", run: ended, negated: true,
		Doc: "Waits for the end of the background command NAME, which shall succeed, or with ! shall fail. stdout is its exit code, 128+n after signal n.",
	},
	{
		Name: "log", Usage: "NAME", run: showLog,
		Doc: "Makes the output so far of the background command NAME this command's stdout; the name kernel stands for the kernel's log.",
	},
	{
		Name: "put", Usage: "FILE GUESTPATH", run: put,
		Doc: "Writes a file of the scenario into the guest. Folders above it are made.",
	},
	{
		Name: "sample", Usage: "NAME [AS]", run: putSample,
		Doc: "Puts a sample module (testdata/modules, built for the guest's kernel) into the guest's module directory as extra/NAME.ko, or extra/AS.ko, " +
			"and names it in modules.dep. Its aliases are not put into the tables: an alias line in /etc/modprobe.d leads a device to it.",
	},
	{
		Name: "switch-root", run: switchRoot,
		Doc: "Makes the file system that is mounted at /newroot the root, as switch_root(8) does at the end of an initramfs: /proc, /sys, /dev, /run and /tmp move there, " +
			"then process 1 does, and the commands to come run there. Whatever runs already keeps the old root.",
	},
	{
		Name: "send", Usage: "FILE", run: sendEvents,
		Doc: "Has the guest's kernel broadcast the uevents that a file of the scenario tells of, as for devices that the guest has not: " +
			"for each a line ACTION@DEVPATH, and lines KEY=VALUE below it.",
	},
	{
		Name: "witness", Usage: "ACTION PATTERN", run: witness, negated: true,
		Doc: "Waits until the independent listener in the guest has heard an event of that action whose MODALIAS, or whose DEVPATH for a pattern that begins with /, " +
			"matches the shell pattern. With ! it has heard none until now.",
	},
}

// defaultTimeout is how long wait-for, ended and witness go on.
const defaultTimeout = 30 * time.Second

// command is what testscript calls.
func (v Verb) command(ts *testscript.TestScript, neg bool, args []string) {
	if neg && !v.negated {
		ts.Fatalf("%s has no meaning with a ! before it", v.Name)
	}
	var s *stage
	if v.alone {
		s = ts.Value(stageKey{}).(*stage)
	} else {
		s = stageOf(ts)
	}
	ts.Check(v.run(s, ts, neg, args))
}

// A usage is the error of a verb with wrong arguments.
type usage struct{ name, why string }

var _ error = (*usage)(nil)

func (u *usage) Error() string {
	for _, v := range Verbs {
		if v.Name == u.name {
			return fmt.Sprintf("%s; usage: %s %s", u.why, v.Name, v.Usage)
		}
	}
	return u.why
}

func boot(s *stage, ts *testscript.TestScript, _ bool, args []string) error {
	o, err := ParseBoot(args)
	if err != nil {
		return err
	}
	return s.start(ts, o)
}

// ParseBoot reads the arguments of boot.
func ParseBoot(args []string) (o lab.Options, err error) {
	for i, word := range args {
		board, named := strings.CutPrefix(word, "board=")
		switch {
		case named:
			if _, err := qemu.FindBoard(board); err != nil {
				return o, &usage{"boot", err.Error()}
			}
			o.Board = board
		case word == lab.Debian, word == lab.DebianKmodd:
			o.Root = word
		case word == "full":
			o.Full = true
		case word == "busy-pc":
			o.Busy = true
		case word == "append" && i+1 < len(args):
			o.Append = args[i+1:]
			return o, nil
		default:
			return o, &usage{"boot", fmt.Sprintf("%q is no way to boot", word)}
		}
	}
	return o, nil
}

func plug(s *stage, _ *testscript.TestScript, _ bool, args []string) error {
	id, kind, props, err := ParsePlug(args)
	if err != nil {
		return err
	}
	return s.machine.Plug(s.ctx, id, kind, props)
}

// ParsePlug reads the arguments of plug.
func ParsePlug(args []string) (id, kind string, props map[string]any, err error) {
	if len(args) < 2 {
		return "", "", nil, &usage{"plug", "a device has a name and a kind"}
	}
	props = map[string]any{}
	for _, arg := range args[2:] {
		property, value, ok := strings.Cut(arg, "=")
		if !ok {
			return "", "", nil, &usage{"plug", fmt.Sprintf("%q is no property", arg)}
		}
		props[property] = value
	}
	return args[0], args[1], props, nil
}

func unplug(s *stage, _ *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 1 {
		return &usage{"unplug", "one device at a time"}
	}
	return s.machine.Unplug(s.ctx, args[0])
}

func suspend(s *stage, _ *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 0 {
		return &usage{"suspend", "it takes no words"}
	}
	return s.machine.Suspend(s.ctx)
}

func guest(s *stage, ts *testscript.TestScript, neg bool, args []string) error {
	r, err := parseGuest(args)
	if err != nil {
		return err
	}
	if r.Op == agentwire.Start {
		if neg {
			return &usage{"guest", "a background command's end is seen by ended"}
		}
		s.started = append(s.started, r.Name)
	}
	result, err := s.ask(ts, r)
	if err != nil {
		return err
	}
	return judge(neg, result.Exit, "the command")
}

func parseGuest(args []string) (agentwire.Request, error) {
	r := agentwire.Request{Op: agentwire.Run}
	for len(args) > 1 {
		switch args[0] {
		case "-as":
			if _, err := fmt.Sscanf(args[1], "%d", &r.UID); err != nil {
				return r, &usage{"guest", fmt.Sprintf("%q is no user's number", args[1])}
			}
		case "-bg":
			r.Op, r.Name = agentwire.Start, args[1]
		default:
			r.Argv = args
			return r, nil
		}
		args = args[2:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return r, &usage{"guest", "there is no command"}
	}
	r.Argv = args
	return r, nil
}

// judge compares the end of a command with what the script says of it.
func judge(neg bool, exit int, what string) error {
	switch {
	case neg && exit == 0:
		return fmt.Errorf("%s succeeded, and should have failed", what)
	case !neg && exit != 0:
		return fmt.Errorf("%s failed with exit code %d", what, exit)
	}
	return nil
}

// ask sends a request, and makes its output the script's.
func (s *stage) ask(ts *testscript.TestScript, r agentwire.Request) (lab.Result, error) {
	result, err := s.machine.Ask(s.ctx, r)
	io.WriteString(ts.Stdout(), result.Stdout)
	io.WriteString(ts.Stderr(), result.Stderr)
	return result, err
}

func waitFor(s *stage, ts *testscript.TestScript, _ bool, args []string) error {
	timeout, args, err := parseTimeout("wait-for", args)
	if err != nil {
		return err
	}
	r := agentwire.Request{Op: agentwire.Until, Timeout: timeout}
	if len(args) > 0 && args[0] == "!" {
		r.Fail, args = true, args[1:]
	}
	if len(args) == 0 {
		return &usage{"wait-for", "there is no command"}
	}
	r.Argv = args
	_, err = s.ask(ts, r)
	return err
}

// parseTimeout takes -timeout off the arguments of a verb.
func parseTimeout(verb string, args []string) (time.Duration, []string, error) {
	if len(args) == 0 || args[0] != "-timeout" {
		return defaultTimeout, args, nil
	}
	if len(args) > 1 {
		if d, err := time.ParseDuration(args[1]); err == nil && d > 0 {
			return d, args[2:], nil
		}
	}
	return 0, nil, &usage{verb, "-timeout is followed by a time such as 30s"}
}

func sendSignal(s *stage, _ *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 2 || unix.SignalNum("SIG"+args[1]) == 0 {
		return &usage{"signal", "a signal has a receiver and a name"}
	}
	number := unix.SignalNum("SIG" + args[1])
	_, err := s.machine.Ask(s.ctx, agentwire.Request{Op: agentwire.Signal, Name: args[0], Signal: int(number)})
	return err
}

func ended(s *stage, ts *testscript.TestScript, neg bool, args []string) error {
	timeout, args, err := parseTimeout("ended", args)
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return &usage{"ended", "one background command at a time"}
	}
	exit, err := s.machine.Wait(s.ctx, timeout, args[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(ts.Stdout(), exit)
	return judge(neg, exit, args[0])
}

func showLog(s *stage, ts *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 1 {
		return &usage{"log", "one log at a time"}
	}
	r := agentwire.Request{Op: agentwire.Read, Path: agentwire.LogFile(args[0])}
	if args[0] == "kernel" {
		r = agentwire.Request{Op: agentwire.Kmsg}
	}
	_, err := s.ask(ts, r)
	return err
}

func put(s *stage, ts *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 2 || !strings.HasPrefix(args[1], "/") {
		return &usage{"put", "a file goes to an absolute path"}
	}
	name := ts.MkAbs(args[0])
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return s.machine.WriteFile(s.ctx, args[1], content, info.Mode())
}

func putSample(s *stage, ts *testscript.TestScript, _ bool, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return &usage{"sample", "one module at a time"}
	}
	content, err := s.runner.build.Sample(s.runner.ctx, args[0])
	if err != nil {
		return err
	}
	as := "extra/" + args[len(args)-1] + ".ko"
	tables := "/lib/modules/" + s.runner.build.Kernel.Version
	if err := s.machine.WriteFile(s.ctx, tables+"/"+as, content, 0o644); err != nil {
		return err
	}
	// Renamed into place, and its index taken away: from the text alone kmodd
	// reads the same.
	const add = `cd $0 && { cat modules.dep; echo "$1:"; } > new && mv new modules.dep && rm -f modules.dep.bin`
	result, err := s.ask(ts, agentwire.Request{Op: agentwire.Run, Argv: []string{"sh", "-c", add, tables, as}})
	if err != nil {
		return err
	}
	return judge(false, result.Exit, "to name it in modules.dep")
}

func switchRoot(s *stage, ts *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 0 {
		return &usage{"switch-root", "there is one new root, /newroot"}
	}
	_, err := s.ask(ts, agentwire.Request{Op: agentwire.SwitchRoot})
	return err
}

// recordedEvents is where the agent finds what send shall send.
const recordedEvents = "/run/lab/recorded"

func sendEvents(s *stage, ts *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 1 {
		return &usage{"send", "one file at a time"}
	}
	if err := put(s, ts, false, []string{args[0], recordedEvents}); err != nil {
		return err
	}
	result, err := s.ask(ts, agentwire.Request{Op: agentwire.Run, Argv: []string{lab.AgentPath, "send", recordedEvents}})
	if err != nil {
		return err
	}
	return judge(false, result.Exit, "sending")
}

func witness(s *stage, ts *testscript.TestScript, neg bool, args []string) error {
	if len(args) != 2 {
		return &usage{"witness", "an event has an action and a pattern"}
	}
	argv := []string{lab.AgentPath, "seen", args[0], args[1]}
	if !neg {
		_, err := s.ask(ts, agentwire.Request{Op: agentwire.Until, Argv: argv, Timeout: defaultTimeout})
		return err
	}
	result, err := s.ask(ts, agentwire.Request{Op: agentwire.Run, Argv: argv})
	if err == nil && result.Exit == 0 {
		err = fmt.Errorf("the witness has heard %s of %s", args[0], args[1])
	}
	return err
}
