package worker_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/worker"
)

// command has a pool run one command, and returns what its result says.
func command(t *testing.T, p *worker.Pool, c worker.Command) string {
	t.Helper()
	p.Run(5, c)
	r := <-p.Results()
	if r.Op != 5 || !r.Command || r.Probe {
		t.Errorf("result: %+v", r)
	}
	if r.Err == nil {
		return ""
	}
	return r.Err.Error()
}

func TestCommandsEnd(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := []struct{ name, shell, want string }{
		{"refused", "/bin/false", "run m: its install command says no (exit status 1)"},
		{"not found", "/nowhere/modprobe", "run m: its install command says no (exit status 127); it wrote: "},
		{"bad syntax", "if", "run m: its install command says no (exit status 2); it wrote: "},
		{"killed", "kill -TERM $$", "run m: its install command was ended by a signal (terminated)"},
		{"its words", "echo out; echo err >&2; exit 7", "run m: its install command says no (exit status 7); it wrote: out; err"},
		{"a terminal's words", `printf '\033[31mred\033[0m\r\n\001\377é'; exit 1`, "it wrote: [31mred [0m; é"},
		{"the end of many words", "echo " + long + "; echo end; exit 1", "; it wrote: … " + long[:1019] + "; end"},
		{"more than a pipe holds", "head -c 300000 /dev/zero; exit 3", "(exit status 3)"},
		{"what it has left behind holds its output", "sleep 100 & echo $!; exit 1", "(exit status 1); it wrote: "},
		{"well", "/bin/true", ""},
		{"nothing to run", "", ""},
	}
	p := newPool(t, worker.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := command(t, p, worker.Command{Verb: "install", Module: "m", Shell: tt.shell, Limit: time.Minute})
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if _, pid, left := strings.Cut(got, "it wrote: "); left && strings.Contains(tt.shell, "sleep") {
				n, _ := strconv.Atoi(pid)
				unix.Kill(n, unix.SIGKILL)
			}
		})
	}
}

// hearsAll tells whether no signal is in a set of /proc/PID/status. Signals 32
// and 33 are the C library's own: its posix_spawn, which make uses, leaves them
// ignored in what it starts (sysdeps/unix/sysv/linux/spawni.c in glibc), and that
// is passed on through all of us.
func hearsAll(t *testing.T, set string) bool {
	t.Helper()
	const internal = 1<<(32-1) | 1<<(33-1)
	signals, err := strconv.ParseUint(set, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return signals&^internal == 0
}

func TestACommandGetsItsOptionsAndNothingOfOurs(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	left, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer left.Close()
	inherited, err := unix.Dup(int(left.Fd())) // not marked to be closed
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	p := newPool(t, worker.Config{})
	told := filepath.Join(t.TempDir(), "told")
	shell := `exec 3>&1 > ` + told + `; echo options $CMDLINE_OPTS, $CMDLINE_OPTS; pwd; tr '\0' '\n' < /proc/self/environ
		echo stdin $(readlink /proc/self/fd/0); ls /proc/$$/fd
		# Without a fork: the shell blocks signals meanwhile.
		while read -r key value; do case $key in SigIgn:|SigBlk:) echo $key $value;; esac; done < /proc/$$/status
		cut -d ' ' -f 1,5,6 /proc/$$/stat; cat /proc/$$/oom_score_adj`
	if said := command(t, p, worker.Command{Verb: "install", Module: "m_x", Shell: shell, Options: `a=1 b="x y"`, Limit: time.Minute}); said != "" {
		t.Error(said)
	}
	text, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	pid := ""
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, want := range []string{"options a=1 b=x y, a=1 b=x y", "/", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "MODPROBE_MODULE=m_x", "stdin /dev/null"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in %q", want, lines)
		}
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "NOTIFY_SOCKET"), strings.HasPrefix(line, "GODEBUG"), strings.HasPrefix(line, "GOMAXPROCS"):
			t.Errorf("in its environment: %s", line)
		case strings.HasPrefix(line, "Sig") && !hearsAll(t, fields[1]):
			t.Errorf("signals that it does not hear: %s", line)
		case len(fields) == 3 && fields[0] == fields[1]:
			pid = fields[0]
			if fields[1] != fields[2] {
				t.Errorf("not in a session of its own: %s", line)
			}
		}
	}
	if pid == "" {
		t.Errorf("it leads no process group: %q", lines)
	}
	// 0, 1, 2 and the copy of 1 that the command made itself; some shells keep
	// another of theirs, above 9.
	if fds := numbers(lines); fds != "0 1 2 3" {
		t.Errorf("open: %s", fds)
	}
}

// numbers are the lines that are a number below 10, but for the last one, which
// is not a descriptor.
func numbers(lines []string) string {
	var found []string
	for _, line := range lines[:len(lines)-1] {
		if n, err := strconv.Atoi(line); err == nil && n < 10 {
			found = append(found, line)
		}
	}
	return strings.Join(found, " ")
}

func TestACommandThatDoesNotEndIsKilledWithAllThatItStarted(t *testing.T) {
	p := newPool(t, worker.Config{})
	pids := filepath.Join(t.TempDir(), "pids")
	began := time.Now()
	said := command(t, p, worker.Command{Verb: "remove", Module: "m", Shell: "trap '' TERM; sleep 1000 & echo $$ $! > " + pids + "; echo waiting; wait",
		Limit: 300 * time.Millisecond})
	if want := "run m: its remove command has not ended after 300ms and was killed, with its process group; it wrote: waiting"; said != want {
		t.Errorf("%q, want %q", said, want)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(field)
		waitEnd(t, pid)
	}
}

func TestAWorkerThatHasRunACommandLoadsAsBefore(t *testing.T) {
	p := newPool(t, worker.Config{Idle: time.Hour})
	first := say(t, p, "tells_pid")
	command(t, p, worker.Command{Verb: "install", Module: "m", Shell: "exit 1", Limit: time.Minute})
	if second := say(t, p, "tells_pid"); first != second {
		t.Errorf("process %s loads, before it was %s", second, first)
	}
}

func TestAWorkerThatDiesInACommandSaysSo(t *testing.T) {
	p := newPool(t, worker.Config{})
	said := command(t, p, worker.Command{Verb: "install", Module: "m", Shell: "kill -KILL $PPID", Limit: time.Minute})
	if want := "run m: the worker process ended without an answer (signal: killed): somebody killed it, and its command may go on"; said != want {
		t.Errorf("%q, want %q", said, want)
	}
}
