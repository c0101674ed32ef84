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

// Tend sees to placeholders. kept says that some are left there because they are
// the nodes of devices now.
func (s System) Tend(what worker.Placeholders) (kept bool, err error) {
	var nodes []placeholder
	for _, o := range what.Openings {
		if n, ok := kernel.NodeOf(o); ok && !isForeign(n.Name) {
			nodes = append(nodes, placeholder{n, slices.DeleteFunc(slices.Clone(o.Links), isForeign)})
		}
	}
	switch what.How {
	case worker.Cover:
		for _, n := range nodes {
			if err := s.cover(n); err != nil {
				return false, fmt.Errorf("put a placeholder over %s: %w", s.dev(n.Name), err)
			}
		}
	case worker.Restore:
		s.awaitUdev(nodes)
		for _, n := range nodes {
			err = errors.Join(err, s.link(n))
		}
	case worker.Uncover:
		for _, n := range nodes {
			k, e := s.uncover(n)
			kept, err = kept || k, errors.Join(err, e)
		}
	default:
		return false, errors.New("unknown request about placeholders")
	}
	return kept, err
}

// A placeholder is a node that stands for a device while its driver is away.
type placeholder struct {
	kernel.Node
	links []string
}

// cover puts a twin over a node. Whoever opens the name finds one or the other.
func (s System) cover(n placeholder) error {
	name := s.dev(n.Name)
	var was unix.Stat_t
	if err := unix.Lstat(name, &was); err != nil {
		return err
	}
	if !n.IsAt(was) {
		return errors.New("it is not the node of that device")
	}
	twin := s.twin(n)
	if err := os.Remove(twin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := unix.Mknod(twin, uint32(was.Mode)&unix.S_IFMT, int(n.Rdev())); err != nil {
		return err
	}
	err := asBefore(twin, name, was)
	if err == nil {
		err = os.Rename(twin, name)
	}
	if err != nil {
		os.Remove(twin)
	}
	return err
}

// twin is the name of a placeholder that is not yet at its place, or not any more.
func (s System) twin(n placeholder) string {
	return path.Join(s.dev(path.Dir(n.Name)), "."+path.Base(n.Name)+".kmodd")
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

// leads tells whether a link leads to a node: of several devices that want it, one
// has it.
func (s System) leads(link string, n kernel.Node) bool {
	to, err := os.Readlink(s.dev(link))
	return err == nil && path.Join(path.Dir(s.dev(link)), to) == s.dev(n.Name)
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

// uncover takes a placeholder away, with its links, unless it is the node of a
// device again. For one that comes meanwhile it is put back: the kernel has left it
// alone, or makes a node of its own where it finds none.
func (s System) uncover(n placeholder) (kept bool, err error) {
	if s.serves(n.Node) != "" {
		return true, nil
	}
	name, twin := s.dev(n.Name), s.twin(n)
	var st unix.Stat_t
	switch there := unix.Lstat(name, &st) == nil; {
	case there && !n.IsAt(st):
		return false, nil // another device's, and so are its links
	case there:
		if err := os.Rename(name, twin); err != nil {
			return false, err
		}
		if kept = s.serves(n.Node) != ""; kept {
			err = unlessThere(os.Link(twin, name))
		}
	}
	if e := os.Remove(twin); !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	if kept {
		return true, err
	}
	return false, errors.Join(err, s.unlink(n))
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

// unlessThere passes over the error that something is there already.
func unlessThere(err error) error {
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}
