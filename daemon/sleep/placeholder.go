package sleep

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

// Tend sees to placeholders.
func (s System) Tend(what worker.Placeholders) (err error) {
	var nodes []placeholder
	for _, o := range what.Openings {
		if n, ok := kernel.NodeOf(o); ok && !isForeign(n.Name) {
			nodes = append(nodes, placeholder{n, o.Access, slices.DeleteFunc(slices.Clone(o.Links), isForeign)})
		}
	}
	switch what.How {
	case worker.Cover:
		for _, n := range nodes {
			if err := errors.Join(s.keepSeat(n.Node), s.cover(n)); err != nil {
				return fmt.Errorf("put a placeholder over %s: %w", s.dev(n.Name), err)
			}
		}
	case worker.Restore:
		for _, n := range nodes {
			switch has := s.has(n.Node); {
			case !has && s.serves(n.Node) != "": // it opens another device
				err = errors.Join(err, s.leaveSeat(n.Node), s.uncover(n))
				continue
			case has:
				err = errors.Join(err, s.leaveSeat(n.Node))
			}
			err = errors.Join(err, s.restore(n))
		}
		return errors.Join(err, s.relink(nodes))
	case worker.Uncover:
		for _, n := range nodes {
			err = errors.Join(err, s.leaveSeat(n.Node), s.uncover(n))
		}
	case worker.Make:
		for _, n := range nodes {
			if err := s.make(n); err != nil {
				return fmt.Errorf("make %s: %w", s.dev(n.Name), err)
			}
			err = errors.Join(err, s.link(n))
		}
	case worker.Mend:
		for _, n := range nodes {
			if _, there := s.look(s.dev(n.Name), n); !there && s.serves(n.Node) == "" {
				err = errors.Join(err, s.make(n))
			}
		}
		return errors.Join(err, s.relink(nodes))
	default:
		return errors.New("unknown request about placeholders")
	}
	return err
}

// A placeholder is a node that stands for a device while its driver is away.
type placeholder struct {
	kernel.Node
	access string
	links  []string
}

// cover puts a twin where a node is, which has another name for as long: the kernel
// removes what has the node's name when the driver goes, if that is its own. Whoever
// opens the name finds one or the other. What was begun before is ended.
func (s System) cover(n placeholder) error {
	name, aside := s.dev(n.Name), s.aside(n)
	node, ok := s.look(name, n)
	if !ok {
		return errors.New("it is not the node of that device")
	}
	kept, ok := s.look(aside, n)
	switch {
	case ok && kept.Ino != node.Ino:
		return nil
	case !ok:
		if err := unlessGone(os.Remove(aside)); err != nil {
			return err
		}
		if err := os.Link(name, aside); err != nil {
			return err
		}
	}
	twin := aside + "-new"
	err := s.copyTo(twin, name, n, node)
	if err == nil {
		err = os.Rename(twin, name)
	}
	if err != nil {
		os.Remove(twin)
		os.Remove(aside)
	}
	return err
}

// make makes the node of a device whose driver has not been in yet.
func (s System) make(n placeholder) error {
	var mode uint32
	var uid, gid int
	if _, err := fmt.Sscanf(n.access, "%o %d %d", &mode, &uid, &gid); err != nil || mode > 0o7777 {
		return fmt.Errorf("it is not known who may open it: %q", n.access)
	}
	if at := s.serves(n.Node); at != "" {
		return fmt.Errorf("its number is that of %s", at)
	}
	name := s.dev(n.Name)
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	kind := uint32(unix.S_IFCHR)
	if n.Block {
		kind = unix.S_IFBLK
	}
	twin := s.aside(n) + "-new"
	if err := unlessGone(os.Remove(twin)); err != nil {
		return err
	}
	err := unix.Mknod(twin, kind, int(n.Rdev()))
	if err == nil {
		err = errors.Join(unix.Lchown(twin, uid, gid), unix.Chmod(twin, mode))
	}
	if err == nil {
		err = os.Link(twin, name) // which replaces nothing
	}
	os.Remove(twin)
	return err
}

// access is who may open a node.
func (s System) access(n kernel.Node) string {
	var st unix.Stat_t
	if unix.Lstat(s.dev(n.Name), &st) != nil || !n.IsAt(st) {
		return ""
	}
	return fmt.Sprintf("%o %d %d", uint32(st.Mode)&0o7777, st.Uid, st.Gid)
}

// aside is the other name of a node that has a placeholder at its place.
func (s System) aside(n placeholder) string {
	return path.Join(s.dev(path.Dir(n.Name)), "."+path.Base(n.Name)+".kmodd")
}

// look tells whether a file is the node, and which file it is.
func (s System) look(name string, n placeholder) (st unix.Stat_t, is bool) {
	is = unix.Lstat(name, &st) == nil && n.IsAt(st)
	return st, is
}

// copyTo makes a twin of a node.
func (s System) copyTo(twin, name string, n placeholder, node unix.Stat_t) error {
	if err := unlessGone(os.Remove(twin)); err != nil {
		return err
	}
	if err := unix.Mknod(twin, uint32(node.Mode)&unix.S_IFMT, int(n.Rdev())); err != nil {
		return err
	}
	return asBefore(twin, name, node)
}

// restore puts a node back at its place, if it is not there.
func (s System) restore(n placeholder) error {
	name, aside := s.dev(n.Name), s.aside(n)
	kept, ok := s.look(aside, n)
	if !ok {
		return nil
	}
	if node, ok := s.look(name, n); !ok || node.Ino == kept.Ino {
		return os.Remove(aside) // the place is another node's by now, or its own
	}
	return os.Rename(aside, name)
}

// asBefore gives a twin what the node has: extended attributes first, access
// control lists and security labels among them, while it is ours.
func asBefore(twin, name string, was unix.Stat_t) error {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(name, list)
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("list its extended attributes: %w", err)
	}
	for attribute := range strings.SplitSeq(string(list[:max(n, 0)]), "\x00") {
		if attribute == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, attribute, value)
		if err == nil {
			err = unix.Lsetxattr(twin, attribute, value[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("copy its attribute %s: %w", attribute, err)
		}
	}
	if err := unix.Lchown(twin, int(was.Uid), int(was.Gid)); err != nil {
		return fmt.Errorf("give it its owner: %w", err)
	}
	// After the owner, whose change takes bits away.
	return unix.Chmod(twin, uint32(was.Mode)&0o7777)
}

// relink makes the links to nodes again that udevd has removed, unless the devices
// are there: then they are udevd's.
func (s System) relink(nodes []placeholder) (err error) {
	nodes = slices.DeleteFunc(nodes, func(n placeholder) bool { return s.serves(n.Node) != "" })
	s.awaitUdev(nodes)
	for _, n := range nodes {
		err = errors.Join(err, s.link(n))
	}
	return err
}

// udevTime is how long udevd is given to deal with a device that has gone.
const udevTime = 5 * time.Second

// awaitUdev waits until udevd has removed the links of nodes. It forgets what it
// knows of their devices, goes through its rules, and only then removes the links
// (event_execute_rules_on_remove in src/udev/udev-event.c).
func (s System) awaitUdev(nodes []placeholder) {
	busy := func(n placeholder) bool {
		return unix.Access(s.udevData(n.Node), unix.F_OK) == nil ||
			slices.ContainsFunc(n.links, func(link string) bool { return s.leads(link, n.Node) })
	}
	for end := time.Now().Add(udevTime); time.Now().Before(end) && slices.ContainsFunc(nodes, busy); {
		time.Sleep(20 * time.Millisecond)
	}
}

// udevData is where udevd keeps what it knows of a device.
func (s System) udevData(n kernel.Node) string {
	kind := 'c'
	if n.Block {
		kind = 'b'
	}
	return fmt.Sprintf("%s/udev/data/%c%d:%d", cmp.Or(s.Run, "/run"), kind, n.Major, n.Minor)
}

// links lists the links to a node that udevd has made.
func (s System) links(n kernel.Node) (links []string) {
	data, _ := os.ReadFile(s.udevData(n))
	for line := range strings.Lines(string(data)) {
		if link, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "S:"); ok && !isForeign(link) && s.leads(link, n) {
			links = append(links, link)
		}
	}
	slices.Sort(links)
	return links
}

// leads tells whether a link leads to a node.
func (s System) leads(link string, n kernel.Node) bool {
	return kernel.System{Dev: s.Dev}.Leads(link, n)
}

// link makes the links again that have gone.
func (s System) link(n placeholder) (failed error) {
	for _, link := range n.links {
		name := s.dev(link)
		to, err := filepath.Rel(path.Dir(name), s.dev(n.Name))
		if err == nil {
			err = os.MkdirAll(path.Dir(name), 0o755)
		}
		if err == nil {
			err = os.Symlink(to, name)
		}
		failed = errors.Join(failed, unlessThere(err))
	}
	return failed
}

// uncover takes a node away whose device has gone while the driver was away, with
// its links. For a device that comes meanwhile it is put back: the kernel has left it
// alone, or makes a new one where it finds none.
func (s System) uncover(n placeholder) error {
	err := s.restore(n)
	if s.has(n.Node) {
		return err
	}
	name, aside := s.dev(n.Name), s.aside(n)
	var st unix.Stat_t
	kept := false
	switch there := unix.Lstat(name, &st) == nil; {
	case there && !n.IsAt(st):
		return err // another device's, and so are its links
	case there:
		if err := os.Rename(name, aside); err != nil {
			return err
		}
		if kept = s.has(n.Node); kept {
			err = errors.Join(err, unlessThere(os.Link(aside, name)))
		}
	}
	err = errors.Join(err, unlessGone(os.Remove(aside)))
	if kept {
		return err
	}
	return errors.Join(err, s.unlink(n))
}

// unlink removes the links to a node.
func (s System) unlink(n placeholder) (failed error) {
	for _, link := range n.links {
		if !s.leads(link, n.Node) {
			continue
		}
		failed = errors.Join(failed, os.Remove(s.dev(link)))
		for dir := path.Dir(link); dir != "." && os.Remove(s.dev(dir)) == nil; dir = path.Dir(dir) {
			// An empty directory of links goes with them, as with udevd.
		}
	}
	return failed
}

// unlessGone passes over the error that something is not there.
func unlessGone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// unlessThere passes over the error that something is there already.
func unlessThere(err error) error {
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}
