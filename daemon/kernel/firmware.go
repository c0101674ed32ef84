package kernel

import (
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/kofile"
)

// Firmware is what a module's file names and the kernel would not find.
type Firmware struct {
	Missing []string // eight names at most, of a hundred bytes at most, as drivers ask for them
	Total   int      // how many are missing in all
}

// Bounds for what a file can make us look for and pass on. amdgpu, which names
// most, names 600; names longer than 60 bytes are rare.
const (
	maxFirmware     = 2000
	maxMissing      = 8
	maxFirmwareName = 100
)

// An Inspection is what a module's file tells before it is loaded.
type Inspection struct {
	Firmware Firmware
	// NamesFirmware says that it names any, missing or not.
	NamesFirmware bool
	Requests      Requests
}

// Inspect reads the names of firmware files that a module's file holds
// (modinfo -F firmware), and looks for them where the kernel will. Most
// modules that name any name those of all devices that they can drive: what is missing
// matters only if such a device does not get its driver. If it is asked for, it also
// finds out whether the module may have others loaded.
//
// It reads the headers, .modinfo and the names of symbols only, and a compressed file
// not at all. Firmware's names with wildcards are passed over, for the driver makes the
// names from them.
func (s System) Inspect(image io.ReaderAt, size int64, requests bool) (found Inspection) {
	file, err := kofile.New(image, size)
	if err != nil {
		return found // the load says why
	}
	if requests {
		found.Requests = requestsOf(file)
	}
	found.Firmware, found.NamesFirmware = s.lookFor(file.Fields("firmware"))
	return found
}

func (s System) lookFor(names iter.Seq[string]) (missing Firmware, named bool) {
	var dirs []string
	looked := 0
	for name := range names {
		if looked++; looked > maxFirmware {
			break
		}
		if looked == 1 { // most modules name none
			dirs = slices.DeleteFunc(s.FirmwareDirs(), absent)
		}
		if strings.ContainsAny(name, "*?[") || !filepath.IsLocal(name) || present(dirs, name) {
			continue
		}
		missing.Total++
		shown := len(name) <= maxFirmwareName && name == printable(name)
		if shown && len(missing.Missing) < maxMissing && !slices.Contains(missing.Missing, name) {
			missing.Missing = append(missing.Missing, name)
		}
	}
	return missing, looked > 0
}

// FirmwareDirs are the directories in which the kernel looks, in its order
// (fw_path in drivers/base/firmware_loader/main.c). Most are not there.
func (s System) FirmwareDirs() []string {
	dirs := s.FirmwareDirsOf(firstLine(s.proc("sys/kernel/osrelease")))
	if own := firstLine(s.sys("module/firmware_class/parameters/path")); own != "" {
		return slices.Insert(dirs, 0, own)
	}
	return dirs
}

// FirmwareDirsOf are those of a kernel that somebody has told of no other one.
func (s System) FirmwareDirsOf(release string) []string {
	return []string{
		s.lib("firmware/updates/" + release),
		s.lib("firmware/updates"),
		s.lib("firmware/" + release),
		s.lib("firmware"),
	}
}

func absent(dir string) bool { return unix.Access(dir, unix.F_OK) != nil }

// present says whether a firmware file is there.
func present(dirs []string, name string) bool {
	for file := range FirmwareFiles(dirs, name) {
		if !absent(file) {
			return true
		}
	}
	return false
}

// FirmwareFiles are the files that the kernel takes for a firmware's name, in
// the forms that it takes (CONFIG_FW_LOADER_COMPRESS).
func FirmwareFiles(dirs []string, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, dir := range dirs {
			for _, suffix := range []string{"", ".zst", ".xz"} {
				if !yield(dir + "/" + name + suffix) {
					return
				}
			}
		}
	}
}
