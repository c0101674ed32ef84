package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kmodd/kmodd/"

// deps lists what a package links, itself included.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

func under(pkg string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") })
}

// The daemon is privileged and always in memory.
func TestTheDaemonLinksNothingHeavy(t *testing.T) {
	heavy := []string{
		"net/http", "regexp", "text/template", "html/template", "testing", "crypto", "os/exec", "compress", "archive",
		"debug/elf", "encoding/gob", "go/ast",
		"github.com/spf13/cobra", "github.com/klauspost/compress", "github.com/mikelolasagasti/xz",
		"github.com/prometheus/client_golang", "github.com/jaypipes/pcidb",
	}
	for _, pkg := range deps(t, module+"cmd/kmodd") {
		if under(pkg, heavy) {
			t.Errorf("cmd/kmodd links %s", pkg)
		}
	}
}

// Net is linked for its Unix sockets. Net.Dial or net.Listen anywhere in the
// daemon, for whatever network, link all that it takes to ask DNS for names: a
// quarter of a mebibyte.
func TestTheDaemonLinksNoResolverOfHostNames(t *testing.T) {
	linksNone(t, "cmd/kmodd", "net.(*UnixListener).AcceptUnix", "net.(*Resolver).")
}

// They start thousands of times while a kernel package is installed, and each package
// that has something to set up takes its time then: these took a sixth of modprobe's.
func TestKmodsProgramsLinkNothingThatTheyDoNotNeed(t *testing.T) {
	heavy := []string{"net", "log/syslog", "crypto/x509", "crypto/rsa", "crypto/ecdsa", "text/template", "github.com/spf13/cobra", "github.com/fsnotify/fsnotify"}
	for _, pkg := range deps(t, module+"cmd/kmodd-tools") {
		if under(pkg, heavy) {
			t.Errorf("cmd/kmodd-tools links %s", pkg)
		}
	}
}

// What executes templates calls methods by names that only their texts have, so every
// exported method of every type is linked: two megabytes. Cobra executes some if it is
// given any.
func TestKmodctlLinksNoTemplates(t *testing.T) {
	linksNone(t, "cmd/kmodctl", "github.com/spf13/cobra.(*Command).ExecuteC", "text/template.(*Template).Execute")
}

// linksNone builds a program, which calls one function, and holds it to have none whose
// names begin with a prefix.
func linksNone(t *testing.T, program, called, prefix string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", file, module+program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, out)
	}
	functions := functionsOf(t, file)
	if !slices.Contains(functions, called) {
		t.Fatalf("%s, which %s calls, is not among the %d functions of its symbol table", called, program, len(functions))
	}
	for _, name := range functions {
		if strings.HasPrefix(name, prefix) {
			t.Errorf("%s links %s", program, name)
		}
	}
}

// functionsOf names the functions in a program's symbol table.
func functionsOf(t *testing.T, program string) (names []string) {
	t.Helper()
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			names = append(names, s.Name)
		}
	}
	return names
}

// go-udev is under the GPL: what ships must not link it, nor anything else
// that is there for the bench and the tests.
func TestWhatShipsLinksNothingOfTheBench(t *testing.T) {
	bench := []string{
		"github.com/pilebones/go-udev", "github.com/varlink/go", "github.com/rogpeppe/go-internal",
		"github.com/cavaliergopher/cpio", "pgregory.net/rapid", "go.uber.org/goleak", "github.com/google/go-cmp",
		module + "cmd/kmodlab",
	}
	for _, program := range []string{"cmd/kmodd", "cmd/kmodd-tools", "cmd/kmodctl", "cmd/kmodd-exporter"} {
		for _, pkg := range deps(t, module+program) {
			if under(pkg, bench) {
				t.Errorf("%s links %s", program, pkg)
			}
		}
	}
}

// One direction: a later room never calls an earlier one.
func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	rooms := []struct {
		room string
		may  []string
	}{
		{"modalias", nil},
		{"match", []string{"modalias", "match"}},
		{"rules", []string{"modalias", "match", "rules"}},
		{"daemon/control", nil},
		{"daemon/kernfs", nil},
		{"daemon/uevent", []string{"daemon/uevent", "daemon/kernfs"}},
		{"daemon/usage", []string{"daemon/kernfs"}},
		{"daemon/kmsg", nil},
		{"daemon/kernel", []string{"daemon/kernel", "daemon/kernfs", "daemon/kmsg", "match/kofile"}},
		{"daemon/worker", []string{"daemon/worker", "daemon/kernfs", "daemon/kernel", "daemon/kmsg", "match/kofile"}},
		{"daemon/sleep", []string{"daemon/worker", "daemon/usage", "daemon/kernfs", "daemon/kernel", "daemon/kmsg", "match/kofile"}},
		{"daemon/handover", []string{"daemon/control"}},
		{"daemon/core", []string{"modalias", "match", "rules", "daemon/control"}},
		{"daemon", []string{"modalias", "match", "rules", "daemon"}},
		{"cmd/kmodd-exporter", []string{"daemon/control"}},
	}
	for _, r := range rooms {
		t.Run(r.room, func(t *testing.T) {
			for _, pkg := range deps(t, module+r.room) {
				own, ours := strings.CutPrefix(pkg, module)
				if ours && own != r.room && !under(own, r.may) {
					t.Errorf("%s imports %s", r.room, own)
				}
			}
		})
	}
}

// The machine that decides does no I/O: what it links of the system's is only
// what it needs for words and for the tables that it is given.
func TestTheMachineHasNoClockAndStartsNothing(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, module+"daemon/core").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if slices.Contains([]string{"os", "net", "sync", "context", "math/rand", "math/rand/v2", "io", "log/slog"}, pkg) {
			t.Errorf("daemon/core imports %s", pkg)
		}
	}
}
