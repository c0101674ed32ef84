package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// treeCompiler is the program that changes device trees, and Debian's package of it.
const treeCompiler, treePackage = "dtc", "device-tree-compiler"

// changed writes a device tree's file to another one, with the source text added that
// changes it: it may name the tree's nodes by their paths, &{/soc/serial@0}.
func changed(ctx context.Context, tree, text, to string) error {
	source, err := compile(ctx, nil, "-I", "dtb", "-O", "dts", tree)
	if err == nil {
		_, err = compile(ctx, append(source, text...), "-I", "dts", "-O", "dtb", "-o", to)
	}
	if err != nil {
		return fmt.Errorf("change the device tree %s: %w", tree, err)
	}
	return nil
}

// compile runs the compiler. It is quiet about what it does not like in Linux' own trees.
func compile(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, treeCompiler, append([]string{"-q", "-q"}, args...)...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("%s: %w: %s", treeCompiler, err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}
