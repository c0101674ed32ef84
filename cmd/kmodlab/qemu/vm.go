// Package qemu runs machines in QEMU's software emulation, and plugs devices
// into them while they run.
//
// # A machine
//
// [Start] starts a machine of some [Board], usually a PC, whose kernel and root
// file system are given directly: no disk, no boot loader, no network unless it
// is plugged in. It has two serial ports: one is the kernel's console and goes
// to a file, the other is a line to the agent in the guest.
//
// # The end of a machine
//
// Nothing outlives the bench. Close ends a machine at once, a context that ends
// does, and when the bench itself dies, however that happens, the kernel ends
// its machines (PR_SET_PDEATHSIG, prctl(2)). The monitor and the agent's line
// are socket pairs, so nothing is left in any file system either.
//
// A machine that ends unasked is an [Ended], in QEMU's own words: Close returns
// it, and so does whatever waits for the agent's line.
package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Config says what to run.
type Config struct {
	Board   *Board
	Kernel  string // what the board's firmware would start; for a PC also an ELF image for PVH
	Initrd  string
	Tree    string // the device tree of a board that does not describe itself
	Append  string // the kernel command line
	Console string // the file that the console's output goes to
	Card    string // the content of the SD card, "" for none
	ACPI    string // the file of the board's ACPI table, "" for none
	Devices []string

	// Memory is a file that holds the guest's memory, "" for none. What the
	// guest writes goes to the file if Keep is set, and is private to the
	// machine otherwise.
	Memory string
	Keep   bool

	// Incoming has the machine wait for Restore instead of starting.
	Incoming bool
}

// A VM is a running machine.
type VM struct {
	Monitor *Monitor
	Agent   net.Conn // the line to the agent; the caller closes it

	board *Board

	cancel context.CancelFunc
	done   chan struct{} // closed when QEMU has ended, and end is set
	end    error         // why it ended, unless that was asked for

	mu      sync.Mutex      // protects plugged
	plugged map[string]slot // by the device's ID
}

// Args is QEMU's command line for a config. Descriptor 3 is the monitor's, 4
// the agent's.
func (c Config) Args() []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg" + c.Board.accel,
		"-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control",
		"-chardev", "file,id=console,path=" + escape(c.Console), "-serial", "chardev:console",
		"-chardev", "socket,id=agent,fd=4",
		"-audiodev", "none,id=silence",
		"-kernel", c.Kernel, "-initrd", c.Initrd, "-append", c.Append,
	}
	args = append(args, c.Board.args...)
	args = append(args, c.memory()...)
	if c.Tree != "" {
		args = append(args, "-dtb", c.Tree)
	}
	if c.Card != "" {
		args = append(args, "-drive", "if=sd,format=raw,file="+escape(c.Card))
	}
	if c.ACPI != "" {
		args = append(args, "-acpitable", "file="+escape(c.ACPI))
	}
	if c.Incoming {
		args = append(args, "-incoming", "defer")
	}
	for _, device := range slices.Concat(c.Board.buses(), c.Devices) {
		args = append(args, "-device", device)
	}
	return args
}

// memory is the board and where its memory is.
func (c Config) memory() []string {
	size := fmt.Sprintf("%dM", c.Board.memoryMiB)
	if c.Memory == "" {
		return []string{"-M", c.Board.machine, "-m", size}
	}
	return []string{"-M", c.Board.machine + ",memory-backend=ram", "-m", size, "-object",
		fmt.Sprintf("memory-backend-file,id=ram,size=%s,mem-path=%s,share=%s", size, escape(c.Memory), onOff(c.Keep))}
}

// escape doubles the commas of a value in a list of options.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Start starts a machine, which ends with ctx or by Close.
func Start(ctx context.Context, c Config) (*VM, error) {
	monitor, monitorEnd, err := socketPair("monitor")
	if err != nil {
		return nil, err
	}
	defer monitorEnd.Close()
	agent, agentEnd, err := socketPair("agent")
	if err != nil {
		return nil, errors.Join(err, monitor.Close())
	}
	defer agentEnd.Close()

	live, cancel := context.WithCancel(ctx)
	vm := &VM{board: c.Board, cancel: cancel, done: make(chan struct{}), plugged: map[string]slot{}}
	vm.Agent = line{agent, vm}
	cmd := exec.CommandContext(live, c.Board.Program, c.Args()...)
	cmd.ExtraFiles = []*os.File{monitorEnd, agentEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started := make(chan error)
	go vm.hold(live, cmd, started, monitor)
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.Board.Program, err), vm.Close(), agent.Close())
	}
	vm.Monitor, err = newMonitor(ctx, monitor)
	if err != nil {
		return nil, errors.Join(err, vm.Close(), agent.Close())
	}
	return vm, nil
}

// hold starts QEMU and stays until it ends. It keeps its thread, because the
// signal of Pdeathsig is sent when the *thread* that started the process ends.
func (vm *VM) hold(live context.Context, cmd *exec.Cmd, started chan<- error, monitor net.Conn) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(vm.done)
	defer monitor.Close()
	var words bytes.Buffer
	cmd.Stderr = &words
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	if err := cmd.Wait(); err != nil && live.Err() == nil {
		vm.end = &Ended{vm.board.Program, cmd.ProcessState, strings.TrimSpace(words.String()), err}
	}
}

// socketPair returns a connection and the end of it that QEMU inherits.
func socketPair(name string) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the line to the %s: %w", name, err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}

// Done is closed when the machine has ended.
func (vm *VM) Done() <-chan struct{} { return vm.done }

// Close ends the machine at once and waits until it has ended. The error is
// about a machine that had ended by itself, in QEMU's words. Close may be
// called more than once.
func (vm *VM) Close() error {
	vm.cancel()
	<-vm.done
	return vm.end
}
