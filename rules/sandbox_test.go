package rules_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// inSandbox runs modprobe for each line that it reads, the arguments in a
// shell's quotes. The host's kernel command line, its modules, and what it has
// in modprobe.d don't show there.
const inSandbox = `
over() {
	[ -d "$2" ] || { mount -t tmpfs none "${2%/*}" && mkdir "$2"; } || exit
	mount --bind "$1" "$2" || exit
}
for dir in /etc /run /usr/local/lib /lib; do
	over "$1/root$dir/modprobe.d" "$dir/modprobe.d"
done
mount --bind "$1/cmdline" /proc/cmdline && mount --bind "$1/none" /sys/module || exit
echo ready
while IFS= read -r line; do
	eval "modprobe $line" 2>"$1/stderr"
	printf '\001%d\n' $?
done`

// A sandbox is a mount namespace in which modprobe reads a kernel command line
// of the test's, and sees no module in the kernel.
type sandbox struct {
	dir string
	in  io.Writer
	out *bufio.Reader
}

func newSandbox(tb testing.TB) *sandbox {
	tb.Helper()
	if _, err := debian.Need(tb.Context(), os.Stderr, "modprobe", "kmod"); err != nil {
		tb.Fatal(err)
	}
	s := &sandbox{dir: tb.TempDir()}
	for _, dir := range append(s.system(), filepath.Join(s.dir, "none")) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	s.boot(tb, "")
	args := []string{"--mount", "sh", "-c", inSandbox, "sh", s.dir}
	if os.Geteuid() != 0 {
		args = append([]string{"--user", "--map-root-user"}, args...)
	}
	cmd := exec.Command("unshare", args...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		tb.Fatal(err1, err2)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // it has no more to say
	})
	if line, err := s.out.ReadString('\n'); line != "ready\n" {
		tb.Fatalf("a mount namespace with another /proc/cmdline can't be made here: %v", err)
	}
	return s
}

// root is what modprobe takes for the root of the system, as far as modprobe.d
// goes.
func (s *sandbox) root() string { return filepath.Join(s.dir, "root") }

// system are the directories that modprobe reads there, the one that takes
// precedence first.
func (s *sandbox) system() (dirs []string) {
	for _, dir := range []string{"etc", "run", "usr/local/lib", "lib"} {
		dirs = append(dirs, filepath.Join(s.root(), dir, "modprobe.d"))
	}
	return dirs
}

// fataler is what testing.T and rapid.T share.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// boot has modprobe read another kernel command line from here on.
func (s *sandbox) boot(t fataler, cmdline string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "cmdline"), []byte(cmdline+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// modprobe returns what modprobe prints.
func (s *sandbox) modprobe(t fataler, args ...string) (stdout, stderr string) {
	t.Helper()
	var line strings.Builder
	for _, arg := range args {
		line.WriteString(" '" + strings.ReplaceAll(arg, "'", `'\''`) + "'")
	}
	if _, err := fmt.Fprintln(s.in, line.String()); err != nil {
		t.Fatal(err)
	}
	stdout, err := s.out.ReadString('\001')
	if err != nil {
		t.Fatal(err)
	}
	if code, err := s.out.ReadString('\n'); err != nil || code != "0\n" && code != "1\n" {
		t.Fatalf("modprobe %s: exit status %q, %v", line.String(), code, err)
	}
	complaints, err := os.ReadFile(filepath.Join(s.dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(stdout, "\001"), string(complaints)
}

// next is a name whose answer tells where that of the name before it ends.
const next = "NEXT"

// mark is the file that makes next a name. It comes before all others, so that
// no pattern of theirs says anything of it, unless it is that of an alias.
func (s *sandbox) mark(t fataler, dir string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "!next.conf")
	if err := os.WriteFile(file, []byte("install "+next+" "+next+"\nsoftdep "+next+" nothing\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// each asks modprobe about many names in one process, and returns the lines
// that it prints of each.
func (s *sandbox) each(t fataler, names []string, args ...string) [][]string {
	t.Helper()
	return s.eachMarked(t, names, append(args, "-C", s.mark(t, s.dir))...)
}

// eachMarked is each for arguments that have modprobe read the mark.
func (s *sandbox) eachMarked(t fataler, names []string, args ...string) [][]string {
	t.Helper()
	args = append(args, "-a", "--")
	for _, name := range names {
		args = append(args, name, next)
	}
	out, complaints := s.modprobe(t, args...)
	all := make([][]string, 1, len(names)+1)
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, next) {
			all = append(all, nil)
			continue
		}
		last := len(all) - 1
		all[last] = append(all[last], line)
	}
	if len(all) != len(names)+1 {
		t.Fatalf("modprobe answered %d of %d names:\n%s%s", len(all)-1, len(names), out, complaints)
	}
	return all[:len(names)]
}
