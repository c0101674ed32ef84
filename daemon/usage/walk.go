package usage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernfs"
)

// Bounds of a walk. A busy PC has 2,000 devices in all, the kernel's deepest
// trees some thirty directories.
const (
	maxDevices = 4096
	maxDepth   = 64
)

// A device is what the walk learnt about one. Its path is that below /sys.
type device struct {
	path      string
	subsystem string // "" of a device that is on no bus and in no class
	class     bool   // the subsystem is a class
	driver    string // "" if none is bound
	number    number // of its node, if hasNode
	hasNode   bool
	upper     string // a network interface that this one is part of
	elsewhere string // a class whose devices here are in other namespaces
	attached  bool   // a PHY that an interface has
	held      bool   // there is a directory of holders
	described bool   // it has a node in the device tree
	supplier  string // the device that this one is a consumer of, if it is in the walk for that
}

func (d *device) name() string { return path.Base(d.path) }

// A number is a device's, as its node has it.
type number struct {
	block        bool
	major, minor uint32
}

// A walk collects devices. Its buffers are used again for each directory.
type walk struct {
	sys     string
	dir     kernfs.Dir
	file    []byte // a path that ends with a NUL
	content [4 << 10]byte
	devices []device
	most    int // devices
	seen    map[string]bool
	pending []consumer
	trouble []Finding
}

// A consumer is a device that is yet to be walked, for the sake of another.
type consumer struct{ path, supplier string }

func newWalk(sys string) walk { return walk{sys: sys, most: maxDevices, seen: map[string]bool{}} }

// from walks a device and what is below it, and then the consumers. What a
// virtio driver registers may be below the card or bus slot that the virtio
// device is alone in, as with virtio_gpu: that is walked instead.
func (w *walk) from(devpath string) {
	if path.Base(w.link(devpath+"/subsystem")) == "virtio" {
		devpath = path.Dir(devpath)
	}
	w.below(devpath, "", 0)
	w.claimedWith(devpath)
	for len(w.pending) > 0 {
		c := w.pending[0]
		w.pending = w.pending[1:]
		w.below(c.path, c.supplier, 0)
	}
}

// sort puts the devices in the order of their paths, each before what is below
// it and that before its neighbours.
func (w *walk) sort() {
	slices.SortFunc(w.devices, func(a, b device) int { return comparePaths(a.path, b.path) })
}

// comparePaths sorts / before all else.
func comparePaths(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	switch {
	case n == len(a) || n == len(b):
		return cmp.Compare(len(a), len(b))
	case a[n] == '/':
		return -1
	case b[n] == '/':
		return 1
	}
	return cmp.Compare(a[n], b[n])
}

func under(p, above string) bool {
	return len(p) > len(above) && p[len(above)] == '/' && strings.HasPrefix(p, above)
}

// below walks one directory and those in it, and returns how many these are.
func (w *walk) below(dir, supplier string, depth int) int {
	if w.seen[dir] {
		return 0
	}
	if depth > maxDepth || len(w.devices) >= w.most {
		w.fail(dir, fmt.Sprintf("there is more below than the %d devices that are looked at", w.most))
		return 0
	}
	e, err := w.list(dir)
	if err != nil {
		if !gone(err) {
			w.fail(dir, fmt.Sprintf("it can't be looked at: %v", err))
		}
		return 0
	}
	at := -1
	if e.device {
		w.seen[dir] = true
		at = len(w.devices)
		w.devices = append(w.devices, w.describe(dir, supplier, e))
	}
	for _, name := range e.consumers {
		w.consumer(dir, name)
	}
	for _, name := range e.dirs {
		n := w.below(dir+"/"+name, supplier, depth+1)
		// A class's directory below a device goes with the last device in it. What
		// is in another network namespace can't be seen and keeps it.
		if at >= 0 && n == 0 && (name == "net" || name == "ieee80211") {
			w.devices[at].elsewhere = name
		}
	}
	return len(e.dirs)
}

// fail remembers what could not be looked at. One reason is enough.
func (w *walk) fail(dir, says string) {
	if len(w.trouble) == 0 {
		w.trouble = append(w.trouble, Finding{Device: dir, Kind: KindWalk, Says: path.Base(dir) + ": " + says})
	}
}

// Entries are what is of interest in a device's directory.
type entries struct {
	device    bool
	node      bool
	driver    bool
	holders   bool
	attached  bool
	described bool
	upper     string
	consumers []string
	dirs      []string
}

// noDevices are directories in which there are none, only attributes.
var noDevices = []string{"power", "queues", "statistics", "mq"}

// list reads a directory of /sys.
func (w *walk) list(dir string) (e entries, err error) {
	if err := w.dir.Open(unix.AT_FDCWD, w.name(dir)); err != nil {
		return e, err
	}
	defer w.dir.Close()
	for {
		entry, kind, ok := w.dir.Next()
		if !ok {
			slices.Sort(e.dirs)
			return e, w.dir.Err()
		}
		e.note(entry[:len(entry)-1], kind)
	}
}

func (e *entries) note(name []byte, kind byte) {
	switch string(name) {
	case "uevent", "subsystem":
		e.device = true
	case "dev":
		e.node = true
	case "driver":
		e.driver = kind == unix.DT_LNK
	case "attached_dev":
		e.attached = true
	case "holders":
		e.holders = kind == unix.DT_DIR
	case "of_node":
		e.described = true
	}
	switch {
	case kind == unix.DT_DIR:
		if !slices.Contains(noDevices, string(name)) {
			e.dirs = append(e.dirs, string(name))
		}
	case bytes.HasPrefix(name, []byte("consumer:")):
		e.consumers = append(e.consumers, string(name))
	case bytes.HasPrefix(name, []byte("upper_")):
		e.upper = string(name[len("upper_"):])
	}
}

// describe reads what the walk wants to know of a device.
func (w *walk) describe(dir, supplier string, e entries) device {
	d := device{path: dir, supplier: supplier, upper: e.upper, attached: e.attached, held: e.holders, described: e.described}
	if link := w.link(dir + "/subsystem"); link != "" {
		d.subsystem, d.class = path.Base(link), path.Base(path.Dir(link)) == "class"
	}
	if e.driver {
		d.driver = path.Base(w.link(dir + "/driver"))
	}
	if e.node {
		d.number, d.hasNode = parseNumber(w.read(dir + "/dev"))
		d.number.block = d.subsystem == "block"
	}
	if e.attached {
		w.enqueue(dir, path.Join(dir, w.link(dir+"/attached_dev")))
	}
	return d
}

// consumer enqueues the device that a device link leads to. What is only there
// to order sync_state callbacks is not unbound with its supplier
// (device_links_unbind_consumers in drivers/base/core.c).
func (w *walk) consumer(dir, name string) {
	link := path.Join(dir, w.link(dir+"/"+name))
	if string(bytes.TrimSpace(w.read(link+"/sync_state_only"))) == "1" {
		return
	}
	if target := w.link(link + "/consumer"); target != "" {
		w.enqueue(dir, path.Join(link, target))
	}
}

func (w *walk) enqueue(supplier, devpath string) {
	if strings.HasPrefix(devpath, "/devices/") && len(w.pending) < maxDevices {
		w.pending = append(w.pending, consumer{devpath, supplier})
	}
}

// claimedTogether tells whether a driver binds several devices of one parent and
// shows itself in only one of them: usb_driver_claim_interface of USB sound,
// video and modems, the functions of SDIO Wi-Fi.
func (d *device) claimedTogether(other *device) bool {
	return (d.subsystem == "usb" || d.subsystem == "sdio") && d.driver != "" &&
		d.subsystem == other.subsystem && d.driver == other.driver &&
		path.Dir(d.path) == path.Dir(other.path)
}

// claimedWith walks what a driver has claimed together with a device.
func (w *walk) claimedWith(devpath string) {
	i := slices.IndexFunc(w.devices, func(d device) bool { return d.path == devpath })
	if i < 0 || !w.devices[i].claimedTogether(&w.devices[i]) {
		return
	}
	own := w.devices[i]
	e, _ := w.list(path.Dir(devpath))
	for _, name := range e.dirs {
		sibling := path.Dir(devpath) + "/" + name
		if link := w.link(sibling + "/driver"); link != "" && path.Base(link) == own.driver {
			w.below(sibling, "", 0)
		}
	}
}

// name is the path of a file of /sys, as system calls want it.
func (w *walk) name(p string) []byte {
	w.file = append(append(append(w.file[:0], w.sys...), p...), 0)
	return w.file
}

// link reads a symbolic link of /sys, "" if there is none.
func (w *walk) link(p string) string {
	n, err := kernfs.Readlinkat(unix.AT_FDCWD, w.name(p), w.content[:])
	w.check(p, err)
	if err != nil || n == len(w.content) {
		return ""
	}
	return string(w.content[:n])
}

// read reads an attribute into a buffer that the next call takes again. One that
// is not there is as good as an empty one to all who ask.
func (w *walk) read(p string) []byte {
	b, err := kernfs.Readat(unix.AT_FDCWD, w.name(p), w.content[:])
	w.check(p, err)
	if err != nil {
		return nil
	}
	return bytes.TrimSpace(b)
}

func (w *walk) exists(p string) bool { return kernfs.Exists(unix.AT_FDCWD, w.name(p)) }

// names lists a directory of /sys, sorted.
func (w *walk) names(p string) (names []string) {
	if err := w.dir.Open(unix.AT_FDCWD, w.name(p)); err != nil {
		w.check(p, err)
		return nil
	}
	defer w.dir.Close()
	for name, _, ok := w.dir.Next(); ok; name, _, ok = w.dir.Next() {
		names = append(names, string(name[:len(name)-1]))
	}
	if err := w.dir.Err(); err != nil && !gone(err) {
		w.fail(p, fmt.Sprintf("it can't be listed: %v", err))
	}
	slices.Sort(names)
	return names
}

// check remembers an error that does not mean that something is not there.
func (w *walk) check(p string, err error) {
	for _, errno := range []error{unix.EACCES, unix.EPERM, unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, errno) {
			w.fail(p, fmt.Sprintf("it can't be read: %v", err))
		}
	}
}

// gone tells whether an error means that something has disappeared, a process
// among them.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) ||
		errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ESRCH)
}
