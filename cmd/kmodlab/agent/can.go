package main

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// setBitrate sets the bits per second of a CAN interface, without which it can't be
// brought up, as ip(8) does, and busybox's does not.
func setBitrate(name, bits string) error {
	rate, err := strconv.ParseUint(bits, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is no number of bits per second", bits)
	}
	index, err := indexOf(name)
	if err != nil {
		return fmt.Errorf("ask for the number of %s: %w", name, err)
	}
	message, err := bitrateMessage(index, uint32(rate))
	if err != nil {
		return err
	}
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Execute(message); err != nil {
		return fmt.Errorf("set the bit rate of %s: %w", name, err)
	}
	return nil
}

// indexOf asks for an interface by its name, which has the kernel ask its helper for
// one that is not there (dev_load in net/core/dev_ioctl.c). rtnetlink(7) would not.
func indexOf(name string) (uint32, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request)
	return request.Uint32(), err
}

// bitrateMessage is RTM_NEWLINK for a link of the kind can, with the first of the 8
// words of struct can_bittiming (linux/can/netlink.h): the kernel works out the others.
func bitrateMessage(index, rate uint32) (netlink.Message, error) {
	link := netlink.NewAttributeEncoder()
	link.Nested(unix.IFLA_LINKINFO, func(info *netlink.AttributeEncoder) error {
		info.String(unix.IFLA_INFO_KIND, "can")
		info.Nested(unix.IFLA_INFO_DATA, func(can *netlink.AttributeEncoder) error {
			var timing [8 * 4]byte
			binary.NativeEndian.PutUint32(timing[:], rate)
			can.Bytes(unix.IFLA_CAN_BITTIMING, timing[:])
			return nil
		})
		return nil
	})
	attributes, err := link.Encode()
	if err != nil {
		return netlink.Message{}, err
	}
	var header [unix.SizeofIfInfomsg]byte
	binary.NativeEndian.PutUint32(header[4:], index)
	return netlink.Message{
		Header: netlink.Header{Type: unix.RTM_NEWLINK, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(header[:], attributes...),
	}, nil
}
