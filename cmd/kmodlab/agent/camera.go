package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kmodd/kmodd/cmd/kmodlab/camera"
	"github.com/kmodd/kmodd/cmd/kmodlab/usbip"
	"github.com/kmodd/kmodd/cmd/kmodlab/video"
)

// pullTime is how long the kernel may take to let a camera go.
const pullTime = 20 * time.Second

// playCamera is a USB camera until SIGTERM, which pulls it out, or until the
// kernel ends the connection.
func playCamera(words []string) error {
	id, err := identity(words)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if out, err := exec.CommandContext(ctx, "modprobe", "vhci_hcd").CombinedOutput(); err != nil {
		return fmt.Errorf("load vhci_hcd: %w: %s", err, out)
	}
	plug, err := usbip.VHCI.Plug()
	if err != nil {
		return err
	}
	fmt.Println("plugged into port", plug.Port)
	if err := playUntilPulled(ctx, camera.New(id), plug); err != nil {
		return err
	}
	fmt.Println("gone")
	return nil
}

// playUntilPulled plays a camera, and pulls it out when ctx ends.
func playUntilPulled(ctx context.Context, c *camera.Camera, plug *usbip.Plug) error {
	var group errgroup.Group
	ended := make(chan struct{})
	group.Go(func() error {
		defer close(ended)
		return c.Play(context.Background(), plug)
	})
	group.Go(func() error {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
		}
		limit, cancel := context.WithTimeout(context.Background(), pullTime)
		defer cancel()
		return plug.Pull(limit)
	})
	return group.Wait()
}

// identity reads what is said about a camera.
func identity(words []string) (id camera.Identity, err error) {
	id = camera.Anybody
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "vendorid":
			id.Vendor, err = usbNumber(value)
		case "productid":
			id.Product, err = usbNumber(value)
		case "serial":
			id.Serial = value
		default:
			err = fmt.Errorf("a camera has vendorid, productid and serial, and no %s", word)
		}
		if err != nil {
			return id, err
		}
	}
	return id, nil
}

// usbNumber reads a number as QEMU takes them, 0x1209.
func usbNumber(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 0, 16)
	return uint16(n), err
}

// pictureTime is how long the first picture may take, and each after it.
const pictureTime = 10 * time.Second

// takePictures takes a number of pictures from a video device, and says of
// each what it is.
func takePictures(w io.Writer, name, count string) (err error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	device, err := video.Open(name)
	if err != nil {
		return err
	}
	defer func() {
		if errClose := device.Close(); err == nil {
			err = errClose
		}
	}()
	about, err := device.About()
	if err != nil {
		return err
	}
	format, err := device.Format()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s (%s): %dx%d %s\n", about.Card, about.Driver, format.Width, format.Height, format.Pixels)
	if err := device.Start(); err != nil {
		return err
	}
	for range n {
		if err := takePicture(w, device); err != nil {
			return err
		}
	}
	return nil
}

func takePicture(w io.Writer, device *video.Device) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), pictureTime, fmt.Errorf("there is none within %s", pictureTime))
	defer cancel()
	picture, err := device.Next(ctx)
	if err != nil {
		return err
	}
	damaged := map[bool]string{true: ", damaged"}[picture.Damaged]
	fmt.Fprintf(w, "picture %d: %d bytes, crc32 %08x%s\n", picture.Sequence, len(picture.Data), crc32.ChecksumIEEE(picture.Data), damaged)
	return nil
}
