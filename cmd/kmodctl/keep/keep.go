// Package keep writes a module's parameter into modprobe.d, so that it is set at the next load.
//
// # Where
//
// The last options line counts. If that is one of the operator's own, below
// /etc/modprobe.d, the value in it is changed, or if the line is continued another one goes
// to the end of the same file: a second place for the same parameter would only confuse. Where
// the distribution's files have the last line, or there is none, it goes to
// /etc/modprobe.d/MODULE.conf. A file of that name hides one of the same name elsewhere,
// so where there is one it is MODULE_local.conf, which is read after it.
//
// What is written may still not be what counts: the kernel command line comes last, and so
// does a file of the distribution whose name is behind in the alphabet. Then nothing is
// written, and the error says what stands against it.
package keep

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kmodd/kmodd/match/kofile/param"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// A Setting is the value that a parameter gets at the next load.
type Setting struct {
	Value string
	By    modprobed.Rule
}

// Place is the setting's file and line.
func (s Setting) Place() string {
	if s.By.Line == 0 {
		return s.By.File
	}
	return fmt.Sprintf("%s:%d", s.By.File, s.By.Line)
}

// Next says what a parameter of a module is set to when modprobe loads it by its name,
// nil for nothing.
func Next(c *modprobed.Config, module, parameter string) (last *Setting) {
	for _, o := range c.Options {
		if o.Name != module {
			continue
		}
		for w := range param.Words(o.Values) {
			if same(w.Name, parameter) {
				last = &Setting{w.Value, o.Rule}
			}
		}
	}
	return last
}

// same tells whether two names are of one parameter: the kernel takes a dash for an
// underscore.
func same(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}

// A System is one whose modprobe.d is written. Its methods must be called by one
// goroutine at a time.
type System struct {
	Root string
	// Read reads modprobe.d anew.
	Read func() (*modprobed.Config, error)
}

func (s System) dir() string { return filepath.Join(s.Root, "etc/modprobe.d") }

// Save has a parameter set at the next load, and returns what counts now.
func (s System) Save(module, parameter, value string) (*Setting, error) {
	assignment, err := Quoted(parameter, value)
	if err != nil {
		return nil, err
	}
	config, err := s.Read()
	if err != nil {
		return nil, err
	}
	old := Next(config, module, parameter)
	if old != nil && old.By.File == modprobed.KernelCommandLine {
		return nil, fmt.Errorf("the kernel command line says %q, which counts more than modprobe.d: change it in the boot loader", old.By.Text)
	}
	file, text := s.file(module), ""
	if old != nil && filepath.Dir(old.By.File) == s.dir() {
		file = old.By.File
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	text, changed := string(before), false
	if old != nil && old.By.File == file {
		text, changed = replaced(text, old.By.Line, parameter, assignment)
	}
	if !changed {
		text = appended(text, "options "+module+" "+assignment)
	}
	if err := write(file, text); err != nil {
		return nil, err
	}
	now, err := s.now(module, parameter)
	if err == nil && (now == nil || now.Value != value) {
		err = fmt.Errorf("%s counts more than %s: change it there", place(now), file)
	}
	if err != nil {
		return nil, errors.Join(err, undo(file, before))
	}
	return now, nil
}

func place(s *Setting) string {
	if s == nil {
		return "something else"
	}
	return s.Place()
}

func (s System) now(module, parameter string) (*Setting, error) {
	config, err := s.Read()
	if err != nil {
		return nil, err
	}
	return Next(config, module, parameter), nil
}

// file is where a line for a module goes if it has none of the operator's.
func (s System) file(module string) string {
	name := module + ".conf"
	for _, dir := range modprobed.Directories(s.Root) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil && filepath.Clean(dir) != s.dir() {
			name = module + "_local.conf"
		}
	}
	return filepath.Join(s.dir(), name)
}

// Quoted is NAME=VALUE as modprobe.d has it.
func Quoted(parameter, value string) (string, error) {
	if strings.ContainsAny(value, "\"\n\\") {
		return "", fmt.Errorf("%q can't be written into modprobe.d: it has a quote, a backslash or the end of a line in it", value)
	}
	if value == "" || strings.ContainsAny(value, " \t#") {
		value = `"` + value + `"`
	}
	return parameter + "=" + value, nil
}

// replaced is a text with another value for a parameter in one of its lines. It can't be
// done in one that is continued, or that has the parameter more than once.
func replaced(text string, line int, parameter, assignment string) (string, bool) {
	lines := strings.SplitAfter(text, "\n")
	if line < 1 || line > len(lines) {
		return text, false
	}
	fields := strings.Fields(lines[line-1])
	if strings.Contains(lines[line-1], `\`) || strings.Contains(lines[line-1], `"`) || len(fields) < 3 {
		return text, false
	}
	found := 0
	for i, field := range fields[2:] {
		name, _, _ := strings.Cut(field, "=")
		if same(name, parameter) {
			fields[i+2] = assignment
			found++
		}
	}
	if found != 1 {
		return text, false
	}
	lines[line-1] = strings.Join(fields, " ") + "\n"
	return strings.Join(lines, ""), true
}

// appended is a text with one more line, which no line before it continues into.
func appended(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if strings.HasSuffix(text, "\\\n") {
		text += "\n"
	}
	return text + line + "\n"
}

// write replaces a file, or the one that a link leads to, by rename: nobody reads half of it.
func write(file, text string) error {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	// Not *.conf, so that nobody reads it should it be left.
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".new-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// undo gives a file the text that it had, nil for none.
func undo(file string, before []byte) error {
	if before == nil {
		return os.Remove(file)
	}
	return write(file, string(before))
}
