// Package insert puts one module file into the kernel, compressed or not.
package insert

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// File puts in a module from its file. What the kernel can't unpack itself is
// unpacked in memory.
func File(k kernel.System, m kernel.Module) error {
	f, err := os.Open(m.File)
	if err != nil {
		return fmt.Errorf("load %s: %w; if the file is elsewhere now, run depmod", m.Name, err)
	}
	defer f.Close()
	switch kofile.Packing(f) {
	case "":
		return k.Load(m, f, kernel.Plain)
	case k.Compression():
		return k.Load(m, f, kernel.Packed)
	}
	var image bytes.Buffer
	if err := unpack.Unpack(&image, f); err != nil {
		return &kernel.Error{Op: "unpack", Module: m.Name, File: m.File, Words: err.Error() + ": reinstall the file"}
	}
	if m.Force == 0 {
		return k.LoadImage(m, image.Bytes())
	}
	return fromMemory(k, m, image.Bytes())
}

// fromMemory is for what has to be unpacked and to be forced: init_module can't
// be told to compare less.
func fromMemory(k kernel.System, m kernel.Module, image []byte) error {
	fd, err := unix.MemfdCreate("module", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make room for the unpacked %s: %w", m.File, err)
	}
	f := os.NewFile(uintptr(fd), m.File)
	defer f.Close()
	if _, err := f.Write(image); err != nil {
		return err
	}
	return k.Load(m, f, kernel.Plain)
}
