package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/agentwire"
	"github.com/kmodd/kmodd/cmd/kmodlab/disk"
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// bootTime is how long a guest may take until its agent answers. The slowest
// kind takes some 15 s alone on an idle machine.
const bootTime = 6 * time.Minute

// A Machine is a guest that runs.
type Machine struct {
	*agentwire.Client

	vm  *qemu.VM
	dir string // its console and its disks; removed with it

	mu      sync.Mutex // protects cameras
	cameras map[string]bool
}

// Options say how a guest differs from the usual one. Any of them but Board and
// Root needs a full boot.
type Options struct {
	Board  string   // the name of a qemu.Board, "" for the PC
	Root   string   // Plain, Debian or DebianKmodd
	Full   bool     // no other difference
	Busy   bool     // the device list of a busy PC
	Append []string // added to the kernel command line
}

// Start starts a guest and returns when its agent answers: restored from the
// build's template where nothing speaks against that, booted otherwise. The
// guest ends with ctx, or by Close.
func (b *Build) Start(ctx context.Context, o Options) (*Machine, error) {
	k, err := o.kind()
	if err != nil {
		return nil, err
	}
	if !o.plain() || !k.board.Restores {
		return b.Boot(ctx, o)
	}
	with, err := b.of(ctx, k.family())
	if err != nil {
		return nil, err
	}
	m, err := with.restore(ctx, k)
	if err == nil || ctx.Err() != nil {
		return m, err
	}
	fmt.Fprintf(b.progress, "no template (%v); booting\n", err)
	return b.Boot(ctx, o)
}

// plain says whether a template can stand for a guest with these options.
func (o Options) plain() bool { return !o.Busy && !o.Full && len(o.Append) == 0 }

// Boot starts a guest from its beginning and returns when its agent answers.
// The guest ends with ctx, or by Close.
func (b *Build) Boot(ctx context.Context, o Options) (*Machine, error) {
	k, err := o.kind()
	if err != nil {
		return nil, err
	}
	b, err = b.of(ctx, k.family())
	if err != nil {
		return nil, err
	}
	m, err := b.start(ctx, "", k, func(c *qemu.Config) {
		c.Append = strings.Join(append([]string{c.Append}, o.Append...), " ")
		if o.Busy {
			c.Devices = qemu.BusyPC()
		}
	})
	if err != nil {
		return nil, err
	}
	if m, err = m.ready(ctx); err != nil {
		return nil, err
	}
	if err := m.setClock(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// setClock tells the guest what time it is: some boards have no clock that goes
// on while they are off, and a restored guest's stands where the template
// stopped.
func (m *Machine) setClock(ctx context.Context) error {
	_, err := m.Ask(ctx, agentwire.Request{Op: agentwire.Clock, Time: time.Now()})
	return err
}

// config is what all guests of that kind have in common; what they need files
// for is in dir.
func (b *Build) config(ctx context.Context, dir string, k kind) (c qemu.Config, err error) {
	c = qemu.Config{
		Board:   k.board,
		Kernel:  filepath.Join(b.dir, kernelFile),
		Initrd:  filepath.Join(b.dir, initramfsFile),
		Append:  k.commandLine(),
		Console: filepath.Join(dir, "console"),
	}
	if k.board.Tree != "" {
		c.Tree, err = b.tree(ctx, dir, k.board)
	}
	if err == nil && k.board.HasCard {
		c.Card = filepath.Join(dir, "card")
		err = writeCard(c.Card)
	}
	if err == nil && k.board.ACPI != nil {
		c.ACPI = filepath.Join(dir, "acpi")
		err = os.WriteFile(c.ACPI, k.board.ACPI, 0o644)
	}
	return c, err
}

// tree is the file with a board's device tree, a changed one in dir if need be.
func (b *Build) tree(ctx context.Context, dir string, board *qemu.Board) (string, error) {
	file, err := b.Kernel.DeviceTree(board.Tree)
	if err != nil || board.Adds == "" {
		return file, err
	}
	other := filepath.Join(dir, "tree.dtb")
	return other, changed(ctx, file, board.Adds, other)
}

// writeCard writes the content of an SD card. The sizes of cards are powers of
// two (QEMU's hw/sd/sd.c insists).
func writeCard(name string) error {
	if err := writeDisk(name, "card"); err != nil {
		return err
	}
	return os.Truncate(name, 4<<20)
}

// writeDisk writes the content of the disk id: a file system with the file
// HELLO.TXT.
func writeDisk(name, id string) error {
	content, err := disk.FAT("kmodlab", "hello.txt", fmt.Sprintf("This is the disk %s.\n", id))
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// start starts a guest of a kind, but for what vary changes. Its machine has a
// folder of its own, below dir, and removes it.
func (b *Build) start(ctx context.Context, dir string, k kind, vary func(*qemu.Config)) (*Machine, error) {
	dir, err := os.MkdirTemp(dir, "kmodlab-")
	if err != nil {
		return nil, err
	}
	c, err := b.config(ctx, dir, k)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	vary(&c)
	vm, err := qemu.Start(ctx, c)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Machine{Client: agentwire.NewClient(vm.Agent), vm: vm, dir: dir, cameras: make(map[string]bool)}, nil
}

// ready waits for the agent's first word. If it doesn't come, the machine is
// closed.
func (m *Machine) ready(ctx context.Context) (*Machine, error) {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	var err error
	select {
	case <-m.Ready():
		return m, nil
	case <-m.Done():
		err = errors.New("the guest ended while it booted")
	case <-ctx.Done():
		err = fmt.Errorf("the guest's agent did not answer: %w", ctx.Err())
	}
	console := m.Console()
	return nil, errors.Join(err, m.Close(), fmt.Errorf("its console:\n%s", console))
}

// Console is what the kernel wrote to its console so far.
func (m *Machine) Console() string {
	text, err := os.ReadFile(filepath.Join(m.dir, "console"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Close ends the guest at once and removes what it left on the host.
func (m *Machine) Close() error {
	return errors.Join(m.vm.Close(), m.Client.Close(), os.RemoveAll(m.dir))
}

// A Result is what a command in the guest did.
type Result struct {
	Stdout, Stderr string
	Exit           int // 128+n if signal n ended it
}

// collect is an agentwire.Output that keeps everything.
type collect struct{ stdout, stderr bytes.Buffer }

func (c *collect) take(stream agentwire.Stream, data []byte) {
	if stream == agentwire.Stdout {
		c.stdout.Write(data)
		return
	}
	c.stderr.Write(data)
}

// Ask sends a request to the agent and collects its output. The result is
// filled in with an error, too.
func (m *Machine) Ask(ctx context.Context, r agentwire.Request) (Result, error) {
	var out collect
	reply, err := m.Do(ctx, r, nil, out.take)
	return Result{out.stdout.String(), out.stderr.String(), reply.Exit}, err
}

// Run runs a command in the guest. A command that fails is no error: see
// Result.Exit.
func (m *Machine) Run(ctx context.Context, argv ...string) (Result, error) {
	return m.Ask(ctx, agentwire.Request{Op: agentwire.Run, Argv: argv})
}

// Spawn runs a command in the guest's background, as name, with its output in
// agentwire.LogFile(name), and returns its process number.
func (m *Machine) Spawn(ctx context.Context, name string, argv ...string) (pid int, err error) {
	reply, err := m.Do(ctx, agentwire.Request{Op: agentwire.Start, Name: name, Argv: argv}, nil, nil)
	return reply.PID, err
}

// Wait waits for the end of a background command and returns its exit code.
func (m *Machine) Wait(ctx context.Context, timeout time.Duration, name string) (exit int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%s has not ended within %s", name, timeout))
	defer cancel()
	reply, err := m.Do(ctx, agentwire.Request{Op: agentwire.Wait, Name: name}, nil, nil)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return reply.Exit, err
}

// Until runs a command in the guest again and again until it succeeds, or the
// time is over. The result is the last run's, in either case.
func (m *Machine) Until(ctx context.Context, timeout time.Duration, argv ...string) (Result, error) {
	return m.Ask(ctx, agentwire.Request{Op: agentwire.Until, Argv: argv, Timeout: timeout})
}

// Plug plugs a device of that kind, a name of QEMU's or [Camera], into the
// guest. A kind that holds data gets a disk with the file HELLO.TXT. More
// properties are QEMU's, too, or the camera's.
func (m *Machine) Plug(ctx context.Context, id, kind string, props map[string]any) error {
	if err := m.unused(id); err != nil {
		return err
	}
	if kind == Camera {
		return m.plugCamera(ctx, id, props)
	}
	d := qemu.Device{ID: id, Driver: kind, Props: props}
	if qemu.NeedsDisk(kind) {
		d.Disk = filepath.Join(m.dir, "disk-"+id)
		if err := writeDisk(d.Disk, id); err != nil {
			return err
		}
	}
	return m.vm.Plug(ctx, d)
}

// suspension is for how long a machine is suspended, its way there included.
const suspension = 4 * time.Second

// Suspend suspends the machine to idle (S3 resets QEMU's PC instead of waking it), and
// presses its power button after a while, and again until that has woken it. Nothing is
// sent to the guest meanwhile: its serial port would lose it.
func (m *Machine) Suspend(ctx context.Context) error {
	const button = "modprobe -q button; "
	if _, err := m.Spawn(ctx, "suspend", "sh", "-c", button+"sleep 1; echo freeze > /sys/power/state"); err != nil {
		return err
	}
	type end struct {
		exit int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		exit, err := m.Wait(ctx, time.Minute, "suspend")
		ended <- end{exit, err}
	}()
	for {
		select {
		case e := <-ended:
			if e.err == nil && e.exit != 0 {
				return fmt.Errorf("suspend: the guest's kernel refused it: exit status %d", e.exit)
			}
			return e.err
		case <-time.After(suspension):
			if err := m.vm.PressPower(ctx); err != nil {
				return err
			}
		}
	}
}

// Unplug pulls a device out of the guest and returns when it has gone.
func (m *Machine) Unplug(ctx context.Context, id string) error {
	if m.hasCamera(id) {
		return m.unplugCamera(ctx, id)
	}
	return m.vm.Unplug(ctx, id)
}
