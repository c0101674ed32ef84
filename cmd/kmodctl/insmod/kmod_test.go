package insmod_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodctl/insmod"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodtest"
)

func ours(args ...string) kmodtest.Said {
	var stdout, stderr bytes.Buffer
	exit := insmod.Main(args, "1.0", &stdout, &stderr)
	return kmodtest.Said{Stdout: stdout.String(), Stderr: stderr.String(), Exit: exit}
}

// No kernel takes these files. What it says of them, both pass on.
func TestFilesAreRefusedInKmodsWords(t *testing.T) {
	c := kmodtest.New(t, "-- dir/x --\n-- text.ko --\n#!/bin/sh\nexit 0\n-- damaged.ko.xz --\n\xfd7zXZ and no more\n")
	for line := range strings.Lines(`

-
-x
--nothing
/no/such/file.ko
-ps /no/such/file.ko parameter=1
-f /no/such/file.ko
/text.ko
/text.ko parameter=1 'other="a b"'
`) {
		t.Run(strings.TrimSpace(line), func(t *testing.T) {
			args := strings.Fields(line)
			want := c.Kmod(t, "insmod", args...)
			for i := range args {
				if strings.HasPrefix(args[i], "/text") {
					args[i] = filepath.Join(c.Root, args[i])
				}
			}
			got := ours(append([]string{"--compat=kmod"}, args...)...)
			got.Stderr = strings.ReplaceAll(got.Stderr, c.Root, "")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-kmod +kmodd)\n%s", diff)
			}
		})
	}
}

func TestTheReasonFollowsInPlainWords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text.ko")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexit 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := ours(file)
	lines := strings.Split(got.Stderr, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "insmod: ERROR: could not insert module "+file) || !strings.HasPrefix(lines[1], "insmod: load text ") || got.Exit != 1 {
		t.Errorf("%+v", got)
	}
	if got := ours("--compat=else", file); got.Exit != 1 || !strings.Contains(got.Stderr, "kmod is all there is") {
		t.Errorf("%+v", got)
	}
	for _, option := range []string{"-h", "--help", "-V", "--version"} {
		if got := ours(option); got.Exit != 0 || got.Stdout == "" || got.Stderr != "" {
			t.Errorf("%s: %+v", option, got)
		}
	}
}
