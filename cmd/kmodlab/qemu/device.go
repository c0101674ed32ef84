package qemu

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// A Device is something to plug in while the machine runs.
type Device struct {
	ID     string // the caller's name for it
	Driver string // QEMU's name of its kind: any that goes into a USB or a PCI Express slot
	Disk   string // the file of its content, for a kind that holds data
	Props  map[string]any
}

// A backend is what QEMU wants beside some devices: the far side of them.
type backend struct {
	property    string         // of the device, that names the backend
	add, remove string         // commands
	argument    string         // of remove: the backend's name
	arguments   map[string]any // of add
}

// backend says what stands behind a device. Most have nothing.
func (d Device) backend() (b backend, ok bool) {
	name := "behind-" + d.ID
	switch d.Driver {
	case "usb-storage", "nvme", "virtio-blk-pci":
		return backend{"drive", "blockdev-add", "blockdev-del", "node-name", map[string]any{
			"node-name": name, "driver": "raw",
			"file": map[string]any{"driver": "file", "filename": d.Disk},
		}}, true
	case "usb-serial":
		// Not null: the adapter is there only while somebody has its
		// far side open.
		return backend{"chardev", "chardev-add", "chardev-remove", "id", map[string]any{
			"id": name, "backend": map[string]any{"type": "ringbuf", "data": map[string]any{}},
		}}, true
	case "kvaser_pci":
		return backend{"canbus", "object-add", "object-del", "id", map[string]any{
			"id": name, "qom-type": "can-bus",
		}}, true
	}
	return backend{}, false
}

// NeedsDisk says whether a kind of device holds data.
func NeedsDisk(driver string) bool {
	b, ok := Device{Driver: driver}.backend()
	return ok && b.property == "drive"
}

// isUSB tells the two buses apart: QEMU names all its USB devices so.
func (d Device) isUSB() bool { return strings.HasPrefix(d.Driver, "usb-") }

// properties are the arguments of device_add, for a device on that bus. A
// card's option ROM would only be for a firmware that starts from it, and its
// file is in a package that nothing here needs.
func (d Device) properties(bus string) map[string]any {
	all := map[string]any{"id": d.ID, "driver": d.Driver, "bus": bus}
	if !d.isUSB() {
		all["romfile"] = ""
	}
	switch d.Driver {
	case "usb-audio":
		all["audiodev"] = "silence"
	case "nvme":
		all["serial"] = d.ID
	}
	if b, ok := d.backend(); ok {
		all[b.property] = "behind-" + d.ID
	}
	maps.Copy(all, d.Props)
	return all
}

// Plug plugs a device in: a USB device into the next port, anything
// else into the first free slot for cards. It returns when the device is there;
// the guest hears of it a little later.
func (vm *VM) Plug(ctx context.Context, d Device) error {
	bus, err := vm.take(d)
	if err != nil {
		return err
	}
	if b, ok := d.backend(); ok {
		if err := vm.Monitor.Do(ctx, b.add, b.arguments, nil); err != nil {
			return errors.Join(err, vm.release(ctx, Device{ID: d.ID}))
		}
	}
	if err := vm.Monitor.Do(ctx, "device_add", d.properties(bus), nil); err != nil {
		return errors.Join(err, vm.release(ctx, d))
	}
	return nil
}

// Plugged returns QEMU's name of the kind of a device that is plugged in.
func (vm *VM) Plugged(id string) (driver string, ok bool) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	s, ok := vm.plugged[id]
	return s.device.Driver, ok
}

// A slot is where a device is plugged in.
type slot struct {
	device Device
	bus    string
}

// take finds a place for a device.
func (vm *VM) take(d Device) (bus string, err error) {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if old, ok := vm.plugged[d.ID]; ok {
		return "", fmt.Errorf("plug %s: there is a %s of that name already", d.ID, old.device.Driver)
	}
	bus = vm.board.usb
	if !d.isUSB() {
		if bus = vm.freePort(); bus == "" {
			return "", fmt.Errorf("plug %s: all %d slots for cards are taken", d.ID, vm.board.Slots)
		}
	}
	vm.plugged[d.ID] = slot{d, bus}
	return bus, nil
}

// freePort is the first slot for cards that holds none, "" for none. mu is
// held.
func (vm *VM) freePort() string {
	taken := map[string]bool{}
	for _, s := range vm.plugged {
		taken[s.bus] = true
	}
	for i := range vm.board.Slots {
		if bus := fmt.Sprintf("rp%d", i+1); !taken[bus] {
			return bus
		}
	}
	return ""
}

// release gives a device's place back and removes what stood behind it.
func (vm *VM) release(ctx context.Context, d Device) error {
	vm.mu.Lock()
	delete(vm.plugged, d.ID)
	vm.mu.Unlock()
	b, ok := d.backend()
	if !ok {
		return nil
	}
	return vm.Monitor.Do(ctx, b.remove, map[string]any{b.argument: "behind-" + d.ID}, nil)
}

// Unplug pulls a device out and returns when it has gone. A USB device goes at
// once. A card goes when the guest's kernel has let it go, which it is asked to
// do as by the button at the slot.
func (vm *VM) Unplug(ctx context.Context, id string) error {
	vm.mu.Lock()
	s, ok := vm.plugged[id]
	vm.mu.Unlock()
	if !ok {
		return fmt.Errorf("unplug %s: nothing of that name is plugged in", id)
	}
	since := vm.Monitor.Now()
	if err := vm.Monitor.Do(ctx, "device_del", map[string]any{"id": id}, nil); err != nil {
		return err
	}
	err := vm.Monitor.Await(ctx, since, func(e Event) bool {
		return e.Name == "DEVICE_DELETED" && e.Data["device"] == id
	})
	if err != nil {
		return fmt.Errorf("unplug %s: the guest does not let it go: %w", id, err)
	}
	return vm.release(ctx, s.device)
}
