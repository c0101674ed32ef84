package daemon

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/core"
)

// suppliers finds out which devices that are held back others wait for. Root is where
// /sys is below.
type suppliers struct{ root string }

// lookFor answers which of some devices those need whose probe the kernel has put off:
// by the links that it knows (Documentation/ABI/testing/sysfs-devices-supplier), and by
// what their nodes of the device tree refer to, since for many kinds of reference it
// makes no link (of_supplier_bindings in drivers/of/property.c). What is read takes no
// device's lock.
func (s suppliers) lookFor(held []string) (found core.Supplying) {
	list, err := os.ReadFile(s.root + deferredList)
	if err != nil || len(list) == 0 {
		return found
	}
	phandles := s.phandles(held)
	for _, dir := range s.deferred(list) {
		needs := s.linked(dir)
		for word := range s.references(dir) {
			if path, ok := phandles[word]; ok {
				needs = append(needs, path)
			}
		}
		slices.Sort(needs)
		for _, path := range slices.Compact(needs) {
			if slices.Contains(held, path) {
				found.Needs = append(found.Needs, core.Need{Device: strings.TrimPrefix(dir, s.root+"/sys"), Supplier: path})
			}
		}
	}
	return found
}

// deferred are the directories of the devices in the kernel's list, which names them
// without their bus.
func (s suppliers) deferred(list []byte) (dirs []string) {
	for line := range bytes.Lines(list) {
		name, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte("\t"))
		found, _ := filepath.Glob(s.root + "/sys/bus/*/devices/" + escaped.Replace(string(name))) // never malformed
		for _, link := range found {
			if dir, err := filepath.EvalSymlinks(link); err == nil {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// escaped has a name match itself only.
var escaped = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`)

// linked are the paths of the devices that the kernel has linked one to.
func (s suppliers) linked(dir string) (paths []string) {
	links, _ := filepath.Glob(escaped.Replace(dir) + "/supplier:*/supplier") // never malformed
	for _, link := range links {
		if to, err := filepath.EvalSymlinks(link); err == nil {
			paths = append(paths, strings.TrimPrefix(to, s.root+"/sys"))
		}
	}
	return paths
}

// Bounds for what is read of a device tree, which firmware may have made.
const (
	maxProperty = 4096 // bytes
	maxNodes    = 2000 // files of one device
)

// phandles are the numbers by which the device tree refers to devices, or to parts of
// them, with the devices' paths.
func (s suppliers) phandles(held []string) map[uint32]string {
	all := make(map[uint32]string)
	for _, path := range held {
		for file := range s.properties(s.root + "/sys" + path) {
			if filepath.Base(file) != "phandle" {
				continue
			}
			if b, err := os.ReadFile(file); err == nil && len(b) == 4 {
				all[binary.BigEndian.Uint32(b)] = path
			}
		}
	}
	return all
}

// references are the numbers that a device's node holds: those that refer to others, and
// what else there is. One that is taken for a reference by mistake ends a wait too soon.
func (s suppliers) references(dir string) func(func(uint32) bool) {
	words := make(map[uint32]bool)
	for file := range s.properties(dir) {
		b, err := os.ReadFile(file)
		if err != nil || len(b)%4 != 0 || len(b) > maxProperty || filepath.Base(file) == "phandle" {
			continue
		}
		for ; len(b) > 0; b = b[4:] {
			words[binary.BigEndian.Uint32(b)] = true
		}
	}
	return maps.Keys(words)
}

// properties are the files of a device's node and of those below it, of which there are
// none for a device that is in no device tree.
func (s suppliers) properties(dir string) func(func(string) bool) {
	return func(yield func(string) bool) {
		node, err := filepath.EvalSymlinks(dir + "/of_node")
		if err != nil {
			return
		}
		left := maxNodes
		_ = filepath.WalkDir(node, func(file string, d fs.DirEntry, err error) error {
			if left--; err != nil || left < 0 || d.Type().IsRegular() && !yield(file) {
				return filepath.SkipAll
			}
			return nil
		})
	}
}
