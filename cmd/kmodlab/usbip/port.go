package usbip

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Controller is the folder of the virtual host controller in sysfs.
type Controller string

// VHCI is where the kernel has the first of its controllers, whose files speak
// for all of them.
const VHCI Controller = "/sys/devices/platform/vhci_hcd.0"

// What a port's state can be (enum usbip_device_status of linux/usbip.h).
const (
	portFree = 4
	portUsed = 6 // a device is there and has an address
)

// A port is one line of the controller's files status*.
type port struct {
	fast   bool // for devices of USB 2 and older
	number int
	state  int
	device string // its name on the USB bus, when the port is used
}

// parsePorts reads a status file: a heading, then a line for each port
// (drivers/usb/usbip/vhci_sysfs.c, port_show_vhci).
func parsePorts(r io.Reader) (ports []port, err error) {
	lines := bufio.NewScanner(r)
	for heading := true; lines.Scan(); heading = false {
		if heading {
			continue
		}
		f := strings.Fields(lines.Text())
		if len(f) != 7 {
			return nil, fmt.Errorf("%q is no port: it has %d of 7 columns", lines.Text(), len(f))
		}
		number, errNumber := strconv.Atoi(f[1])
		state, errState := strconv.Atoi(f[2])
		if err := errors.Join(errNumber, errState); err != nil {
			return nil, fmt.Errorf("%q is no port: %w", lines.Text(), err)
		}
		ports = append(ports, port{f[0] == "hs", number, state, f[6]})
	}
	return ports, lines.Err()
}

// ports lists the ports of all controllers.
func (c Controller) ports() (all []port, err error) {
	files, err := filepath.Glob(filepath.Join(string(c), "status*"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s/status: %w: is vhci_hcd loaded?", c, fs.ErrNotExist)
	}
	for _, name := range files {
		text, errRead := os.ReadFile(name)
		some, errParse := parsePorts(strings.NewReader(string(text)))
		all = append(all, some...)
		err = errors.Join(err, errRead, errParse)
	}
	return all, err
}

// highSpeed is USB_SPEED_HIGH of linux/usb/ch9.h.
const highSpeed = 3

// A Plug is a device of ours in a port. Reading and writing is speaking with
// the kernel. Its methods may be called concurrently.
type Plug struct {
	*os.File
	Port int

	controller Controller
}

// Plug puts a device of high speed into the first free port. The kernel begins
// to ask it at once.
func (c Controller) Plug() (*Plug, error) {
	ports, err := c.ports()
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		if !p.fast || p.state != portFree {
			continue
		}
		line, err := c.attach(p.number)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EBUSY) {
			continue // somebody was faster
		}
		if err != nil {
			return nil, err
		}
		return &Plug{line, p.number, c}, nil
	}
	return nil, fmt.Errorf("%s: none of %d ports is free", c, len(ports))
}

// attach gives the kernel one end of a pair of sockets, and returns the other.
// The kernel takes any stream socket (vhci_sysfs.c, attach_store).
func (c Controller) attach(number int) (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a pair of sockets: %w", err)
	}
	defer unix.Close(pair[1])
	// The runtime's poller then waits for it, and Close ends a Read.
	if err := unix.SetNonblock(pair[0], true); err != nil {
		return nil, errors.Join(err, unix.Close(pair[0]))
	}
	line := os.NewFile(uintptr(pair[0]), "the USB line")
	const device = 1 // comes back in every command, and says nothing here
	words := fmt.Sprintf("%d %d %d %d", number, pair[1], device, highSpeed)
	if err := os.WriteFile(filepath.Join(string(c), "attach"), []byte(words), 0); err != nil {
		return nil, errors.Join(err, line.Close())
	}
	return line, nil
}

// Pull pulls the device out, and returns when it has gone from the bus and its
// port is free.
func (p *Plug) Pull(ctx context.Context) error {
	before, err := p.state()
	if err != nil {
		return errors.Join(err, p.Close())
	}
	if err := p.Close(); err != nil {
		return err
	}
	for pause := time.NewTicker(10 * time.Millisecond); ; {
		now, err := p.state()
		if err != nil {
			return err
		}
		_, there := os.Stat(filepath.Join("/sys/bus/usb/devices", before.device))
		if now.state == portFree && (before.state != portUsed || errors.Is(there, fs.ErrNotExist)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the kernel does not let %s go from port %d: %w", before.device, p.Port, ctx.Err())
		case <-pause.C:
		}
	}
}

// state is the present line of the port.
func (p *Plug) state() (port, error) {
	ports, err := p.controller.ports()
	for _, one := range ports {
		if one.number == p.Port {
			return one, err
		}
	}
	return port{}, errors.Join(err, fmt.Errorf("%s has no port %d", p.controller, p.Port))
}
