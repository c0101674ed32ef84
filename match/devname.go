package match

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Node is a device node that leads to a module: who opens it before the module
// is in makes the kernel ask for the module, by the node's number.
type Node struct {
	Path   string // below /dev, such as net/tun
	Block  bool   // a block device, otherwise a character device
	Number uint64 // as of mknod(2)
	Module string
}

// Nodes reads modules.devname in a module directory. Without that file there are
// none: not every depmod writes it. What can't be understood is a warning.
func Nodes(dir string) (nodes []Node, warnings []string) {
	const name = "modules.devname"
	text, err := directory(dir).text(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, []string{err.Error()}
	}
	nodes, faults := ParseNodes(text)
	for _, fault := range faults {
		warnings = append(warnings, path.Join(dir, name)+":"+fault+": run depmod")
	}
	return nodes, warnings
}

// ParseNodes reads the text of modules.devname, whose lines are
//
//	MODULE PATH TYPE MAJOR:MINOR
//
// with no blank between the last two. faults are the lines that it skipped,
// each as NUMBER: WORDS.
func ParseNodes(text string) (nodes []Node, faults []string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		node, ok := parseNode(line)
		if !ok {
			faults = append(faults, fmt.Sprintf("%d: not \"MODULE PATH cMAJOR:MINOR\"", number))
			continue
		}
		nodes = append(nodes, node)
	}
	return nodes, faults
}

func parseNode(line string) (n Node, ok bool) {
	f := strings.Fields(line)
	if len(f) != 3 || path.Clean("/"+f[1]) != "/"+f[1] {
		return n, false
	}
	kind := f[2][0]
	if kind != 'c' && kind != 'b' {
		return n, false
	}
	first, second, _ := strings.Cut(f[2][1:], ":")
	// The kernel has 12 bits for the major number, and 20 for the minor.
	major, err1 := strconv.ParseUint(first, 10, 12)
	minor, err2 := strconv.ParseUint(second, 10, 20)
	if err1 != nil || err2 != nil {
		return n, false
	}
	return Node{Path: f[1], Block: kind == 'b', Number: unix.Mkdev(uint32(major), uint32(minor)), Module: f[0]}, true
}
