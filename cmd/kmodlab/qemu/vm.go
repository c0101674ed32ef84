// Package qemu runs machines in QEMU's software emulation, and plugs devices
// into them while they run.
//
// # A machine
//
// [Start] starts a PC of the q35 kind whose kernel and root file system are
// given directly: no disk, no boot loader, no network unless it is plugged in.
// It has two serial ports: the first is the kernel's console and goes to a
// file, the second is a line to the agent in the guest. It has a USB controller
// with eight fast and eight slow ports, named xhci, and PCI Express slots that
// cards can be plugged into, rp1 to rp8.
//
// # The end of a machine
//
// Nothing outlives the bench. Close ends a machine at once, a context that ends
// does, and when the bench itself dies, however that happens, the kernel ends
// its machines (PR_SET_PDEATHSIG, prctl(2)). The monitor and the agent's line
// are socket pairs, so nothing is left in any file system either.
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
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Program is QEMU's name, Package the Debian package that has it.
const (
	Program = "qemu-system-x86_64"
	Package = "qemu-system-x86"
)

// A Config says what to run.
type Config struct {
	Kernel  string // a bzImage, or an ELF image for PVH
	Initrd  string
	Append  string // the kernel command line
	Console string // the file that the first serial port's output goes to
	Devices []string

	// Memory is a file that holds the guest's memory, "" for none. What the
	// guest writes goes to the file if Keep is set, and is private to the
	// machine otherwise.
	Memory string
	Keep   bool

	// Incoming has the machine wait for Restore instead of starting.
	Incoming bool
}

// The machine's size. Two processors, since a loader that works in parallel
// shall have the chance to go wrong; memory for the whole module tree twice.
const (
	processors = 2
	memoryMiB  = 2048
)

// rootPorts is the number of slots for PCI Express cards.
const rootPorts = 8

// A VM is a running machine.
type VM struct {
	Monitor *Monitor
	Agent   net.Conn // the second serial port; the caller closes it

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
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", "tcg", "-cpu", "max", "-smp", strconv.Itoa(processors), "-m", strconv.Itoa(memoryMiB),
		"-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control",
		"-chardev", "file,id=console,path=" + escape(c.Console), "-serial", "chardev:console",
		"-chardev", "socket,id=agent,fd=4", "-serial", "chardev:agent",
		"-audiodev", "none,id=silence",
		"-kernel", c.Kernel, "-initrd", c.Initrd, "-append", c.Append,
	}
	if c.Memory == "" {
		args = append(args, "-M", "q35")
	} else {
		args = append(args, "-M", "q35,memory-backend=ram", "-object",
			fmt.Sprintf("memory-backend-file,id=ram,size=%dM,mem-path=%s,share=%s", memoryMiB, escape(c.Memory), onOff(c.Keep)))
	}
	if c.Incoming {
		args = append(args, "-incoming", "defer")
	}
	for _, device := range append(buses(), c.Devices...) {
		args = append(args, "-device", device)
	}
	return args
}

// escape doubles the commas of a value in a list of options.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// buses are what devices can be plugged into. All the slots for cards share one
// place on the root bus, as its functions: a busy machine needs the others.
func buses() []string {
	all := []string{"qemu-xhci,id=xhci,p2=8,p3=8,addr=0x1d"}
	for i := range rootPorts {
		all = append(all, fmt.Sprintf("pcie-root-port,id=rp%d,chassis=%d,addr=0x1e.%d,multifunction=on", i+1, i+1, i))
	}
	return all
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
	vm := &VM{Agent: agent, cancel: cancel, done: make(chan struct{}), plugged: map[string]slot{}}
	cmd := exec.CommandContext(live, Program, c.Args()...)
	cmd.ExtraFiles = []*os.File{monitorEnd, agentEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started := make(chan error)
	go vm.hold(live, cmd, started, monitor)
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", Program, err), vm.Close(), agent.Close())
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
		vm.end = fmt.Errorf("%s ended by itself: %w: %s", Program, err, strings.TrimSpace(words.String()))
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
