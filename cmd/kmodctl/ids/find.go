package ids

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The names of the files.
const (
	PCIFile = "pci.ids"
	USBFile = "usb.ids"
)

// places are the directories where the files are: hwdata's, Debian's, and where
// Debian's link leads, which update-usbids(8) writes to.
var places = []string{"usr/share/hwdata", "usr/share/misc", "var/lib/usbutils"}

// A MissingError says that a file of names is in none of the usual places.
type MissingError struct{ Name string }

var _ error = (*MissingError)(nil)

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed; Debian's package %s has it, and hwdata elsewhere", e.Name, e.Name)
}

// Find returns the path of a file in the system below root, by one of its names.
// The error is a *MissingError, which has the first of them, if there is none.
func Find(root string, names ...string) (string, error) {
	for _, name := range names {
		for _, place := range places {
			file := filepath.Join(root, place, name)
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				return file, nil
			}
		}
	}
	return "", &MissingError{names[0]}
}

// largest is how many bytes of a file are read at most. usb.ids has 0.7 million
// and pci.ids 1.4 million.
const largest = 16 << 20

// open opens a file of names. Neither a FIFO nor a device nor a file without
// end holds anybody up.
func open(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("not a regular file")
	case info.Size() > largest:
		err = fmt.Errorf("%d bytes are too many for a list of names, of which the largest has %d", info.Size(), largest)
	default:
		return f, nil
	}
	f.Close()
	return nil, fmt.Errorf("read names from %s: %w", file, err)
}

// code is how the files write numbers.
func code(number string) string { return strings.ToLower(number) }
