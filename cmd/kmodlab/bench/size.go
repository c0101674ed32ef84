package bench

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kmodd/kmodd/cmd/kmodlab/lab"
)

// size measures the program of the daemon, built as it ships.
func size(ctx context.Context) ([]row, error) {
	dir, err := os.MkdirTemp("", "kmodlab-size-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "kmodd")
	if err := build(ctx, program, "github.com/kmodd/kmodd/cmd/kmodd"); err != nil {
		return nil, err
	}
	if err := static(program); err != nil {
		return nil, err
	}
	info, err := os.Stat(program)
	if err != nil {
		return nil, err
	}
	return []row{{what: "program file, static", unit: inMiB, ours: []float64{float64(info.Size())}, bound: atMost(4<<20 + 256<<10)}}, nil
}

// build builds a program as it ships.
func build(ctx context.Context, program, of string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w -funcalign=16", "-o", program, of)
	cmd.Env = lab.ShippedEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", of, err, out)
	}
	return nil
}

// static returns an error for a program that needs a dynamic linker.
func static(program string) error {
	f, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("kmodd is not static")
		}
	}
	return nil
}
