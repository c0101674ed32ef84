package sleep

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/usage"
	"github.com/kmodd/kmodd/daemon/worker"
)

// A System says where the kernel's file systems are mounted. The zero value is
// the running system.
type System struct {
	Sys    string // "" for /sys
	Proc   string // "" for /proc
	Dev    string // "" for /dev
	Run    string // "" for /run
	Helper string // "" for kernel.Helper

	usage interface { // nil for usage.System
		Module(name string) []usage.Finding
		Drives(name string) []string
	}
	served func(kernel.Node) string // nil for kernel.System.Serves
}

func (s System) sys(name string) string { return cmp.Or(s.Sys, "/sys") + name }
func (s System) dev(name string) string { return path.Join(cmp.Or(s.Dev, "/dev"), name) }

// serves returns the path of the device that has a node's number, "" for none.
func (s System) serves(n kernel.Node) string {
	if s.served != nil {
		return s.served(n)
	}
	return kernel.System{Sys: s.Sys}.Serves(n)
}

// has tells whether a node's device is there, by its number and its name.
func (s System) has(n kernel.Node) bool {
	if s.served != nil {
		return s.served(n) != ""
	}
	return kernel.System{Sys: s.Sys}.Has(n)
}

// Survey says whether a driver can sleep, and what is to be known to put it to
// sleep and to wake it.
func (s System) Survey(q worker.Question) (found worker.Survey) {
	if found.Says = s.comesBack(q.Files); found.Says != "" {
		return found
	}
	who := s.usage
	if who == nil {
		who = usage.System{Sys: s.Sys, Proc: s.Proc, Dev: s.Dev}
	}
	found.Devices = who.Drives(q.Module)
	if found.Says = s.identity(found.Devices, q.Any); found.Says != "" {
		return found
	}
	cannot := s.openable(&found) // which may be because somebody uses it
	for _, f := range who.Module(q.Module) {
		if f.State == usage.Idle || q.Force && passedOver(f) {
			continue
		}
		if f.State == usage.InUse && f.Kind == usage.KindModule || f.State == usage.Unknown && !f.Never && found.InUse != "" {
			found.InUse = cmp.Or(found.InUse, f.Says) // another finding may say who
			continue
		}
		found.InUse = ""
		switch {
		case f.State == usage.InUse && !f.Never:
			found.InUse = f.Says
		case f.Never || f.Kind == usage.KindWakeup:
			found.Says = cmp.Or(cannot, f.Says+": only a rule that names the module, with force = true, passes over that")
		default:
			found.InUse = "can't tell: " + f.Says
		}
		return found
	}
	if found.InUse == "" {
		found.Says = cannot
	}
	return found
}

// builtIn says which of modules that must be out never are, "" if none.
func (s System) builtIn(modules []string) string {
	for _, m := range modules {
		if !s.exists("/module/" + m + "/initstate") {
			return m + " is a part of this kernel, which would not ask for its devices"
		}
	}
	return ""
}

// counted are names with the lowest number that is free, and where those are that
// are there. Disks count in letters.
var counted = []struct{ name, taken string }{
	{"ttyUSB", "tty/ttyUSB"},
	{"ttyACM", "tty/ttyACM"},
	{"video", "video4linux/video"},
	{"snd/controlC", "sound/card"},
	{"eth", "net/eth"},
	{"usb", "net/usb"},
	{"wlan", "net/wlan"},
	{"wwan", "net/wwan"},
}

// renumbered says what would come back by another name than it has, "" for nothing.
func (s System) renumbered(openings []kernel.Opening) string {
	for _, o := range openings {
		for _, c := range counted {
			digits, is := strings.CutPrefix(o.Name, c.name)
			n, err := strconv.ParseUint(digits, 10, 16)
			if !is || err != nil {
				continue
			}
			for i := range n {
				if !s.exists(fmt.Sprintf("/class/%s%d", c.taken, i)) {
					return fmt.Sprintf("%s would come back as %s%d, which is free", o.Name, c.name, i)
				}
			}
		}
		if letter, is := strings.CutPrefix(o.Name, "sd"); is && len(letter) == 1 {
			for i := byte('a'); i < letter[0]; i++ {
				if !s.exists("/class/block/sd" + string(i)) {
					return fmt.Sprintf("%s would come back as sd%c, which is free", o.Name, i)
				}
			}
		}
		if _, isNode := kernel.NodeOf(o); !isNode && s.isRenamed(o.Name) {
			return fmt.Sprintf("somebody has renamed %s, and would not when it comes back", o.Name)
		}
	}
	return ""
}

func (s System) exists(name string) bool { return unix.Access(s.sys(name), unix.F_OK) == nil }

// isRenamed tells whether an interface has a name that the kernel would not give it,
// nor udevd.
func (s System) isRenamed(name string) bool {
	const renamed = "4" // NET_NAME_RENAMED
	how, _ := os.ReadFile(s.sys("/class/net/" + name + "/name_assign_type"))
	return strings.TrimSpace(string(how)) == renamed && unix.Access(cmp.Or(s.Run, "/run")+"/udev/control", unix.F_OK) != nil
}

// openable adds what is opened of the devices that were found. It says why nothing
// of that would wake them, "" if something would.
func (s System) openable(found *worker.Survey) string {
	var others []string
	for _, d := range found.Devices {
		if slices.ContainsFunc(found.Devices, func(above string) bool { return strings.HasPrefix(d, above+"/") }) {
			continue // what is below a device is among its openings
		}
		others = append(others, s.openings(d, 0, found)...)
	}
	switch {
	case len(found.Openings) > 0:
		return cmp.Or(s.builtIn(found.Must), s.renumbered(found.Openings))
	case len(others) > 0:
		return "nothing of it can be opened to wake it: for " + strings.Join(others, ", ") + " the kernel would not ask"
	}
	return "nothing of it can be opened to wake it"
}

// passedOver tells whether a finding does not count when the operator knows better.
func passedOver(f usage.Finding) bool {
	switch f.Kind {
	case usage.KindDriver, usage.KindWakeup, usage.KindPower:
		return true
	}
	return f.Never
}

// comesBack says why a driver could not come back, "" for nothing.
func (s System) comesBack(files []string) string {
	helper := cmp.Or(s.Helper, kernel.Helper)
	if unix.Access(helper, unix.X_OK) != nil {
		return helper + " is not installed, which the kernel would ask to wake it"
	}
	if err := (kernel.System{Proc: s.Proc}).CanAsk(); err != nil {
		return "the kernel could not ask for it: " + err.Error()
	}
	if text, _ := os.ReadFile(cmp.Or(s.Proc, "/proc") + "/sys/kernel/modules_disabled"); strings.TrimSpace(string(text)) == "1" {
		return "this kernel loads no modules any more (kernel.modules_disabled)"
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Sprintf("it could not come back: %v", err)
		}
		f.Close()
	}
	return ""
}

// identity says which devices could change places, "" if none could. Those of one
// USB device are one.
func (s System) identity(devices []string, any bool) string {
	var units []string
	for _, d := range devices {
		d = s.unit(d)
		if !slices.Contains(units, d) {
			units = append(units, d)
		}
	}
	switch {
	case len(units) == 0:
		return "no device has its driver"
	case len(units) > 1 && !any:
		var names []string
		for _, u := range units {
			names = append(names, path.Base(u))
		}
		return fmt.Sprintf("it has several devices (%s), which may have changed places when it comes back: identity = \"any\" says that one is as good as another", strings.Join(names, ", "))
	}
	return ""
}

// unit is the USB device that a device is a part of, or else the device itself.
func (s System) unit(devpath string) string {
	for d := devpath; len(d) > 1; d = path.Dir(d) {
		if unix.Access(s.sys(d)+"/bInterfaceNumber", unix.F_OK) == nil {
			return path.Dir(d)
		}
	}
	return devpath
}

// awaited are the numbers that can be woken, and what else has to be out.
var awaited = map[kernel.Node]string{
	{Major: 81}:               "",
	{Major: 188}:              "",
	{Major: 166}:              "",
	{Major: 116}:              "snd",
	{Major: 8, Block: true}:   "sd_mod",
	{Major: 179, Block: true}: "mmc_block",
}

// maxDepth is how far below a device others are.
const maxDepth = 20

// openings adds what is opened of a device and of all below it, and returns the
// names of what can't be woken.
func (s System) openings(devpath string, depth int, found *worker.Survey) (others []string) {
	entries, err := os.ReadDir(s.sys(devpath)) // sorted
	if err != nil || depth > maxDepth {
		return nil
	}
	if n, ok := s.node(devpath); ok {
		must, ok := awaited[kernel.Node{Major: n.Major, Block: n.Block}]
		switch {
		case !ok:
			others = append(others, n.Name)
		default:
			found.Openings = append(found.Openings, kernel.Opening{Alias: n.Alias(), Name: n.Name, Access: s.access(n), Links: s.links(n)})
			if must != "" && !slices.Contains(found.Must, must) {
				found.Must = append(found.Must, must)
			}
		}
	}
	if s.subsystem(devpath) == "net" {
		found.Openings = append(found.Openings, kernel.Opening{Alias: kernel.NetAlias(path.Base(devpath)), Name: path.Base(devpath)})
	}
	for _, e := range entries {
		if e.IsDir() {
			others = append(others, s.openings(devpath+"/"+e.Name(), depth+1, found)...)
		}
	}
	return others
}

func (s System) subsystem(devpath string) string {
	to, _ := os.Readlink(s.sys(devpath) + "/subsystem")
	return path.Base(to)
}

// node reads the number and the name of a device's node.
func (s System) node(devpath string) (n kernel.Node, ok bool) {
	number, err := os.ReadFile(s.sys(devpath) + "/dev")
	if err != nil {
		return n, false
	}
	major, minor, _ := strings.Cut(strings.TrimSpace(string(number)), ":")
	a, err1 := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	n.Major, n.Minor, n.Block = uint32(a), uint32(b), s.subsystem(devpath) == "block"
	n.Name = kernel.System{Sys: s.Sys}.NodeName(devpath)
	return n, err1 == nil && err2 == nil && !isForeign(n.Name)
}

// isForeign tells whether a name does not stay below /dev.
func isForeign(name string) bool { return name == "." || !fs.ValidPath(name) }
