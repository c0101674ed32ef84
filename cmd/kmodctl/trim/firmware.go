package trim

import (
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
)

// A Firmware is an installed file that a kept module may ask for.
type Firmware struct {
	File    string   `json:"file"` // as the kernel opens it
	Size    int64    `json:"bytes"`
	Modules []string `json:"modules"` // that name it

	real  string // where it is, behind links
	leads string // the file that it is a link to, "" if it is none or leads out of where the kernel looks
	away  bool   // it leads out of there
}

// A Missing is a name of firmware of which no file is installed.
type Missing struct {
	Name    string   `json:"name"` // with wildcards, maybe
	Modules []string `json:"modules"`
}

// An asks is a name of firmware, and the modules that have it.
type asks struct {
	name    string
	modules []string
}

// names takes in the names that a module has.
func (m *maker) names(module string, names iter.Seq[string]) {
	for name := range names {
		i := slices.IndexFunc(m.asks, func(a asks) bool { return a.name == name })
		if i < 0 {
			i = len(m.asks)
			m.asks = append(m.asks, asks{name: name})
		}
		m.asks[i].modules = appendNew(m.asks[i].modules, module)
	}
}

// ofBuiltin takes in the names that those parts of the kernel have that devices
// lead to.
func (m *maker) ofBuiltin() {
	text, err := os.ReadFile(filepath.Join(m.Tables, "modules.builtin.modinfo"))
	if err != nil {
		return // older kernels have none
	}
	for module := range m.builtin {
		m.names(module, kofile.BuiltinInfo(string(text), module).Fields("firmware"))
	}
}

// find looks for the files of all names.
func (m *maker) find() {
	dirs := kernel.System{Lib: m.lib()}.FirmwareDirsOf(m.release)
	files := make(map[string]*Firmware)
	for _, a := range m.asks {
		found := m.installed(dirs, a.name)
		for _, f := range found {
			if files[f.File] == nil {
				files[f.File] = &f
			}
			for _, module := range a.modules {
				files[f.File].Modules = appendNew(files[f.File].Modules, module)
			}
		}
		if len(found) == 0 {
			slices.Sort(a.modules)
			m.Missing = append(m.Missing, Missing{a.name, a.modules})
		}
	}
	for _, f := range files {
		slices.Sort(f.Modules)
		m.Firmware = append(m.Firmware, *f)
	}
	slices.SortFunc(m.Firmware, func(a, b Firmware) int { return strings.Compare(a.File, b.File) })
	slices.SortFunc(m.Missing, func(a, b Missing) int { return strings.Compare(a.Name, b.Name) })
}

// installed returns the files of a name: the one that the kernel takes, and all
// that wildcards match.
func (t *Trim) installed(dirs []string, name string) (files []Firmware) {
	if !filepath.IsLocal(name) {
		return nil
	}
	wild := strings.ContainsAny(name, "*?[")
	for _, dir := range dirs {
		for file := range kernel.FirmwareFiles([]string{dir}, name) {
			matches := []string{file}
			if wild {
				matches, _ = filepath.Glob(file) // what is no pattern matches nothing
			}
			for _, match := range matches {
				if f, ok := t.firmware(dir, match); ok {
					files = append(files, f)
				}
			}
			if len(files) > 0 && !wild {
				return files
			}
		}
	}
	return files
}

// firmware looks at a file, and where it is if it is a link.
func (t *Trim) firmware(dir, file string) (f Firmware, ok bool) {
	real, info, err := t.stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return f, false
	}
	f = Firmware{File: file, Size: info.Size(), real: real}
	top, err := t.real(dir)
	if err != nil {
		return f, false
	}
	within, err := filepath.Rel(top, real)
	if f.away = err != nil || !filepath.IsLocal(within); f.away {
		return f, true
	}
	if at := filepath.Join(dir, within); at != file {
		f.leads = at
	}
	return f, true
}

// firmwareBytes is what the files take, each once however many links lead to it: those
// where the kernel looks, and those that links lead to elsewhere.
func (t *Trim) firmwareBytes() (there, elsewhere int64) {
	counted := make(map[string]bool)
	for _, f := range t.Firmware {
		switch {
		case counted[f.real]:
			continue
		case f.away:
			elsewhere += f.Size
		default:
			there += f.Size
		}
		counted[f.real] = true
	}
	return there, elsewhere
}

// below is what the files below a directory take.
func (t *Trim) below(dir string) (sum int64) {
	real, err := t.real(dir)
	if err != nil {
		return 0
	}
	_ = filepath.WalkDir(real, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}
