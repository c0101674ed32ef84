package kmod

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match"
)

const nodesUsage = `Usage:
	kmod static-nodes [options]

Prints the device nodes that lead to modules of the running kernel: who opens one
before the module is in makes the kernel load it.

	-f, --format=FORMAT  how to print them (human)
	-o, --output=FILE    write them to a file
	-h, --help           print this

Formats:
	human                for people
	tmpfiles             for systemd-tmpfiles, as in tmpfiles.d(5)
	devname              as in modules.devname
`

// formats are how a node is written.
var formats = map[string]func(match.Node) string{
	"human":    human,
	"tmpfiles": tmpfiles,
	"devname":  devname,
}

func numbers(n match.Node) (kind string, major, minor uint32) {
	kind = "c"
	if n.Block {
		kind = "b"
	}
	return kind, unix.Major(n.Number), unix.Minor(n.Number)
}

func human(n match.Node) string {
	kind, major, minor := numbers(n)
	words := map[string]string{"b": "block", "c": "character"}
	return fmt.Sprintf("Module: %s\n\tDevice node: /dev/%s\n\t\tType: %s device\n\t\tMajor: %d\n\t\tMinor: %d\n",
		n.Module, n.Path, words[kind], major, minor)
}

func tmpfiles(n match.Node) string {
	kind, major, minor := numbers(n)
	line := fmt.Sprintf("%s! /dev/%s 0600 - - - %d:%d\n", kind, n.Path, major, minor)
	if strings.Contains(n.Path, "/") {
		line = fmt.Sprintf("d /dev/%s 0755 - - -\n", path.Dir(n.Path)) + line
	}
	return line
}

func devname(n match.Node) string {
	kind, major, minor := numbers(n)
	return fmt.Sprintf("%s %s %s%d:%d\n", n.Module, n.Path, kind, major, minor)
}

// A formatError is the name of no format.
type formatError string

func (e formatError) Error() string { return fmt.Sprintf("Unknown format: '%s'.", string(e)) }

// staticNodes is the command of that name.
func (s system) staticNodes(args []string, stdout, stderr io.Writer) int {
	format, output := human, ""
	_, err := getopt.Parse(args, []getopt.Option{
		getopt.Takes('o', "output", func(file string) { output = file }),
		{Short: 'f', Long: []string{"format"}, Value: true, Do: func(name string) error {
			if format = formats[name]; format == nil {
				return formatError(name)
			}
			return nil
		}},
		getopt.Asks('h', "help", nodesUsage),
	})
	about, asked := errors.AsType[getopt.Answer](err)
	unknown, isFormat := errors.AsType[formatError](err)
	switch {
	case asked:
		io.WriteString(stdout, string(about))
		return 0
	case isFormat:
		fmt.Fprintln(stderr, unknown)
		io.WriteString(stdout, nodesUsage)
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "static-nodes: %v\n", err)
		return 1
	}
	return s.printNodes(format, output, stdout, stderr)
}

// printNodes prints the nodes of the running kernel, or writes them to a file.
func (s system) printNodes(format func(match.Node) string, output string, stdout, stderr io.Writer) int {
	file := s.devnameFile()
	text, err := os.ReadFile(filepath.Join(s.root, file))
	switch {
	case errors.Is(err, os.ErrNotExist):
		fmt.Fprintf(stderr, "Warning: %s not found - ignoring\n", file)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "Error: could not open %s - %s\n", file, libc.Strerror(libc.Errno(err)))
		return 1
	}
	nodes, faults := match.ParseNodes(string(text))
	var b strings.Builder
	for _, n := range nodes {
		b.WriteString(format(n))
	}
	for _, fault := range faults {
		fmt.Fprintf(stderr, "Error: invalid devname entry: %s:%s\n", file, fault)
	}
	if err := write(output, b.String(), stdout); err != nil {
		fmt.Fprintf(stderr, "Error: could not create %s - %s\n", output, libc.Strerror(libc.Errno(err)))
		return 1
	}
	return min(1, len(faults))
}

// devnameFile is the running kernel's modules.devname.
func (s system) devnameFile() string {
	release, _ := kernel.Release() // which can't fail for a name that can be written
	return "/lib/modules/" + release + "/modules.devname"
}

func write(output, text string, stdout io.Writer) error {
	if output == "" {
		_, err := io.WriteString(stdout, text)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return err
	}
	return os.WriteFile(output, []byte(text), 0o644)
}
