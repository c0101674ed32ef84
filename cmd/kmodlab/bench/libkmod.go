package bench

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

//go:embed libkmod/lookup.c
var lookupSource []byte

// A libkmod is the peer's program, in a folder of its own.
type libkmod struct{ program string }

// buildLibkmod compiles the peer. Remove it after use.
func buildLibkmod(ctx context.Context, progress io.Writer) (l libkmod, err error) {
	if _, err := debian.Need(ctx, progress, "gcc", "gcc"); err != nil {
		return l, err
	}
	for _, header := range [][2]string{{"/usr/include/stdlib.h", "libc6-dev"}, {"/usr/include/libkmod.h", "libkmod-dev"}} {
		if err := debian.NeedFile(ctx, progress, header[0], header[1]); err != nil {
			return l, err
		}
	}
	dir, err := os.MkdirTemp("", "kmodlab-libkmod-")
	if err != nil {
		return l, err
	}
	l.program = filepath.Join(dir, "lookup")
	cmd := exec.CommandContext(ctx, "gcc", "-O2", "-Wall", "-Werror", "-xc", "-", "-o", l.program, "-lkmod")
	cmd.Stdin = bytes.NewReader(lookupSource)
	if out, err := cmd.CombinedOutput(); err != nil {
		return l, errors.Join(fmt.Errorf("compile the peer with libkmod: %w\n%s", err, out), l.remove())
	}
	return l, nil
}

func (l libkmod) remove() error { return os.RemoveAll(filepath.Dir(l.program)) }

// A libkmodRun is one process of the peer's, with the tables open and groups of names in memory.
type libkmodRun struct {
	cmd    *exec.Cmd
	turns  io.WriteCloser
	lines  *bufio.Reader
	groups [][]string
}

// start has the peer open the tables in a directory and read groups of names. The peer works for both
// architectures: tables are read by their directory. Stop it after use.
func (l libkmod) start(ctx context.Context, tables string, groups ...[]string) (run *libkmodRun, err error) {
	args := []string{tables}
	for i, names := range groups {
		file := filepath.Join(filepath.Dir(l.program), "names."+strconv.Itoa(i))
		if err := os.WriteFile(file, lines(names), 0o600); err != nil {
			return nil, err
		}
		args = append(args, file)
	}
	run = &libkmodRun{cmd: exec.CommandContext(ctx, l.program, args...), groups: groups}
	run.cmd.Stderr = os.Stderr
	if run.turns, err = run.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := run.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	run.lines = bufio.NewReader(out)
	return run, run.cmd.Start()
}

// lines ends each name, so that no names are no line.
func lines(names []string) []byte {
	var b []byte
	for _, name := range names {
		b = append(append(b, name...), '\n')
	}
	return b
}

// stop ends the peer, which waits for its turn.
func (r *libkmodRun) stop() error { return errors.Join(r.turns.Close(), r.cmd.Wait()) }

// modules returns what each name of each group leads to, each module named once. It comes before the first
// turn.
func (r *libkmodRun) modules() ([][]string, error) {
	all := make([][]string, len(r.groups))
	for i, names := range r.groups {
		for range names {
			line, err := r.lines.ReadString('\n')
			if err != nil {
				return nil, fmt.Errorf("look up with libkmod: %w", err)
			}
			all[i] = append(all[i], once(line))
		}
	}
	return all, nil
}

// turn has the peer look all names up once more, and returns how long each group took.
func (r *libkmodRun) turn() ([]time.Duration, error) {
	if _, err := io.WriteString(r.turns, "\n"); err != nil {
		return nil, fmt.Errorf("look up with libkmod: %w", err)
	}
	line, err := r.lines.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("look up with libkmod: %w", err)
	}
	fields := strings.Fields(line)
	if len(fields) != len(r.groups) {
		return nil, fmt.Errorf("libkmod took %q for %d groups of names", line, len(r.groups))
	}
	took := make([]time.Duration, len(fields))
	for i, field := range fields {
		ns, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("libkmod's time: %w", err)
		}
		took[i] = time.Duration(ns)
	}
	return took, nil
}

// once leaves out what is named again: libkmod names a module for each of its aliases that matches.
func once(line string) string {
	var kept []string
	for _, name := range strings.Fields(line) {
		if !slices.Contains(kept, name) {
			kept = append(kept, name)
		}
	}
	return strings.Join(kept, " ")
}
