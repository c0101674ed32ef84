package bench

import (
	"bytes"
	"context"
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

// tools measures kmodd-tools under the names of kmod's programs, each as a whole
// process, and holds what it does to what kmod's do.
func tools(ctx context.Context, progress io.Writer, runs int) ([]row, error) {
	b, err := newToolbox(ctx, progress)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	depmods, err := b.depmods(ctx, runs)
	if err != nil {
		return nil, err
	}
	rows := depmods
	for _, q := range questions {
		r, err := b.ask(ctx, runs, q)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	inside, err := askInGuests(ctx, progress, runs)
	return append(rows, inside...), err
}

// A toolbox has kmodd-tools under other names, and a root with Debian's modules.
type toolbox struct {
	dir     string
	time    string // time(1)
	root    string
	version string
}

func newToolbox(ctx context.Context, progress io.Writer) (b toolbox, err error) {
	if b.time, err = debian.Need(ctx, progress, "time", "time"); err != nil {
		return b, err
	}
	if _, err := debian.Need(ctx, progress, "depmod", "kmod"); err != nil {
		return b, err
	}
	if b.dir, err = os.MkdirTemp("", "kmodlab-tools-"); err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(b.dir)
		}
	}()
	program, err := b.install(ctx)
	if err != nil {
		return b, err
	}
	for _, name := range []string{"depmod", "modinfo", "modprobe"} {
		if err := os.Symlink(program, filepath.Join(b.dir, name)); err != nil {
			return b, err
		}
	}
	kernel, err := debian.LoadKernel(ctx, progress)
	if err != nil {
		return b, err
	}
	b.root, b.version = filepath.Join(b.dir, "root"), kernel.Version
	return b, b.plant(filepath.Join(kernel.Root, "lib/modules", kernel.Version))
}

// install builds kmodd-tools and copies it, as make install does. What the linker has
// written through a mapping lies in memory in single pages, and a program whose file
// lies there in larger pieces starts in three quarters of the time.
func (b toolbox) install(ctx context.Context) (program string, err error) {
	built := filepath.Join(b.dir, "built")
	if err := build(ctx, built, "github.com/kmodd/kmodd/cmd/kmodd-tools"); err != nil {
		return "", err
	}
	content, err := os.ReadFile(built)
	if err != nil {
		return "", err
	}
	program = filepath.Join(b.dir, "kmodd-tools")
	return program, os.WriteFile(program, content, 0o755)
}

// plant makes the root, with links to all files of a directory of modules: tables are
// written into it, and never into the cache.
func (b toolbox) plant(modules string) error {
	if err := os.MkdirAll(b.modules(), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"kernel", "modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		if err := os.Symlink(filepath.Join(modules, name), filepath.Join(b.modules(), name)); err != nil {
			return err
		}
	}
	return nil
}

// modules is the directory of the modules in the root.
func (b toolbox) modules() string { return filepath.Join(b.root, "lib/modules", b.version) }

// Whose program it is, as an index.
const (
	kmods = iota
	kmodds
)

// A process is what one has taken and said.
type process struct {
	took   time.Duration
	peak   float64 // of memory, in bytes
	stdout string
}

// program is ours of a name, or kmod's.
func (b toolbox) program(whose int, name string) string {
	if whose == kmodds {
		return filepath.Join(b.dir, name)
	}
	return name
}

// run runs a program.
func (b toolbox) run(ctx context.Context, program string, args ...string) (p process, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	err = cmd.Run()
	p.took, p.stdout = time.Since(begun), stdout.String()
	if err != nil {
		return p, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return p, nil
}

// watched is run, with the peak of the program's memory. What the kernel tells of a child of
// ours would be this process's own: it counts from before the exec (setmax_mm_hiwater_rss
// in fs/exec.c). time(1) is small; to start it takes as long as a small program does.
func (b toolbox) watched(ctx context.Context, program string, args ...string) (p process, err error) {
	report := filepath.Join(b.dir, "time")
	if p, err = b.run(ctx, b.time, append([]string{"-f", "%M", "-o", report, program}, args...)...); err != nil {
		return p, err
	}
	text, err := os.ReadFile(report)
	if err != nil {
		return p, err
	}
	kilobytes, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	p.peak = 1024 * kilobytes
	return p, err
}

// depmods makes the tables of Debian's modules again and again.
func (b toolbox) depmods(ctx context.Context, runs int) ([]row, error) {
	var took, peak [2][]float64
	var made [2]map[string]string
	args := []string{"-b", b.root, b.version}
	if _, err := b.run(ctx, "depmod", args...); err != nil { // has the modules in memory
		return nil, err
	}
	for range runs {
		for whose := range made {
			p, err := b.watched(ctx, b.program(whose, "depmod"), args...)
			if err != nil {
				return nil, err
			}
			took[whose] = append(took[whose], float64(p.took.Nanoseconds()))
			peak[whose] = append(peak[whose], p.peak)
			if made[whose], err = b.tables(); err != nil {
				return nil, err
			}
		}
	}
	for name, text := range made[kmods] {
		if made[kmodds][name] != text {
			return nil, fmt.Errorf("depmod: %s is not what kmod makes of these modules", name)
		}
	}
	modules := strings.Count(made[kmods]["modules.dep"], "\n")
	r := row{what: fmt.Sprintf("depmod, %d modules", modules), unit: inMilliseconds, ours: took[kmodds], whose: "kmod", peer: took[kmods]}
	m := row{what: "  its peak of memory", unit: inBytes, ours: peak[kmodds], whose: "kmod", peer: peak[kmods]}
	return []row{r.least(1 / 0.6), m.least(1)}, nil
}

// tables are the tables in the root.
func (b toolbox) tables() (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(b.modules(), "modules.*"))
	all := map[string]string{}
	for _, file := range files {
		text, errRead := os.ReadFile(file)
		all[filepath.Base(file)] = string(text)
		err = errors.Join(err, errRead)
	}
	return all, err
}

// asked are names that modprobe and modinfo are asked for: of a module alone, of two
// with dependencies, and the alias of a device.
var asked = []string{"loop", "ext4", "snd-hda-intel", "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00"}

// A question is a command that only says something of a name.
type question struct {
	name    string
	options []string
	of      func(b toolbox) []string // more options, for a root that is not the machine's own
}

func (q question) what() string { return strings.Join(append([]string{q.name}, q.options...), " ") }

// questions are those that are asked.
var questions = []question{
	{"modprobe", []string{"-n", "-v"}, func(b toolbox) []string {
		return []string{"-q", "-C", "/dev/null", "-d", b.root, "-S", b.version}
	}},
	{"modinfo", nil, func(b toolbox) []string { return []string{"-b", b.root, "-k", b.version} }},
}

// ask asks a question again and again: with so many rounds in a run, in which each asks
// of each name, ours and kmod's by turns. Once is how that is done, and how long it took.
func (q question) ask(what string, runs, rounds int, once func(whose int, name string) (process, error)) (row, error) {
	r := row{what: what, unit: inMilliseconds, whose: "kmod"}.least(1)
	for range runs {
		var sum [2]float64
		for range rounds {
			for _, name := range asked {
				var said [2]string
				for whose := range said {
					p, err := once(whose, name)
					if err != nil {
						return row{}, err
					}
					sum[whose] += float64(p.took.Nanoseconds())
					said[whose] = p.stdout
				}
				if said[kmods] != said[kmodds] {
					return row{}, fmt.Errorf("%s %s says\n%sand kmod's\n%s", q.what(), name, said[kmodds], said[kmods])
				}
			}
		}
		n := float64(rounds * len(asked))
		r.ours, r.peer = append(r.ours, sum[kmodds]/n), append(r.peer, sum[kmods]/n)
	}
	return r, nil
}

// ask asks a question of the modules in the root. A process takes milliseconds.
func (b toolbox) ask(ctx context.Context, runs int, q question) (row, error) {
	return q.ask(q.what(), runs, 20, func(whose int, name string) (process, error) {
		return b.run(ctx, b.program(whose, q.name), slices.Concat(q.options, q.of(b), []string{name})...)
	})
}
