package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Packets of the Bluetooth core specification's UART transport layer (volume 4, part
// A) and of /dev/vhci (drivers/bluetooth/hci_vhci.c), by their first byte.
const (
	hciCommand = 0x01
	hciEvent   = 0x04
	vhciVendor = 0xff // makes a controller, and tells its number
)

// Codes of the same specification, volume 4, part E.
const (
	commandComplete = 0x0e
	readBufferSize  = 0x1005
	readAddress     = 0x1009
)

// playController plays a Bluetooth controller that says yes to everything, until it is
// killed. It can do nothing, so that the kernel asks for little before it is up.
func playController() error {
	vhci, err := os.OpenFile("/dev/vhci", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer vhci.Close()
	if _, err := vhci.Write([]byte{vhciVendor, 0}); err != nil {
		return fmt.Errorf("make a Bluetooth controller: %w", err)
	}
	packet := make([]byte, 1024)
	for {
		n, err := vhci.Read(packet)
		if err != nil {
			return fmt.Errorf("read from /dev/vhci: %w", err)
		}
		if n < 3 || packet[0] != hciCommand {
			continue
		}
		if _, err := vhci.Write(completed(binary.LittleEndian.Uint16(packet[1:]))); err != nil {
			return fmt.Errorf("answer the kernel: %w", err)
		}
	}
}

// completed is the event that says that a command went well. What it returns is as
// long as the longest of all, and nothing but what a controller can't be without.
func completed(opcode uint16) []byte {
	var returned [249]byte // the status, which is 0, and a name
	switch opcode {
	case readAddress:
		copy(returned[1:], "\x01\x02\x03\x04\x05\x06")
	case readBufferSize: // the sizes of two kinds of packets, and how many there is room for
		copy(returned[1:], "\x00\x04\x40\x08\x00\x08\x00")
	}
	event := []byte{hciEvent, commandComplete, byte(3 + len(returned)), 1}
	event = binary.LittleEndian.AppendUint16(event, opcode)
	return append(event, returned[:]...)
}

// Of <net/bluetooth/hci_sock.h>.
const (
	hciDevUp   = 0x400448c9
	hciDevDown = 0x400448ca
)

// setController brings the first Bluetooth controller up or down.
func setController(up bool) error {
	fd, err := unix.Socket(unix.AF_BLUETOOTH, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.BTPROTO_HCI)
	if err != nil {
		return fmt.Errorf("ask for a Bluetooth socket: %w", err)
	}
	defer unix.Close(fd)
	request := uint(hciDevDown)
	if up {
		request = hciDevUp
	}
	if err := unix.IoctlSetInt(fd, request, 0); err != nil && !errors.Is(err, unix.EALREADY) {
		return fmt.Errorf("bring hci0 up or down: %w", err)
	}
	return nil
}
