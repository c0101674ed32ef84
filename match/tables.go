package match

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Tables are the tables of one module directory. They are safe for concurrent
// use, and always describe the files as they were when they were opened.
type Tables struct {
	dir string

	modules        *table // modules.dep
	aliases        *table
	symbols        *table
	builtins       *table
	builtinAliases *table

	// mu guards warnings: a look-up that finds a file unsound adds one.
	mu       sync.Mutex
	warnings []string
}

// A MissingError says that a directory has no module tables. It wraps
// os.ErrNotExist.
type MissingError struct{ Dir string }

var _ error = (*MissingError)(nil)

func (e *MissingError) Error() string {
	return fmt.Sprintf("no module tables in %s: run depmod %s", e.Dir, filepath.Base(e.Dir))
}

func (e *MissingError) Unwrap() error { return os.ErrNotExist }

// Open opens the tables in a directory such as /lib/modules/6.1.0-56-amd64.
// Without modules.dep in either form the error is a *MissingError. All else
// that is wrong becomes a warning. Close the tables after use.
func Open(dir string) (*Tables, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open module tables: %w", err)
	}
	return load(&Tables{dir: dir}, directory(dir))
}

// Parse makes tables from the text of files, by name: modules.dep,
// modules.alias, modules.symbols, modules.builtin and, for the aliases of what
// is built in, modules.builtin.modinfo. It reads nothing else: dir only stands
// before the names. Closing such tables is not needed.
func Parse(dir string, files map[string]string) (*Tables, error) {
	return load(&Tables{dir: dir}, texts(files))
}

func load(t *Tables, from files) (*Tables, error) {
	t.modules = t.table(from, "modules.dep", "modules.dep", parseDep)
	t.aliases = t.table(from, "modules.alias", "modules.alias", parseAlias)
	t.symbols = t.table(from, "modules.symbols", "modules.symbols", parseAlias)
	t.builtins = t.table(from, "modules.builtin", "modules.builtin", parseBuiltin)
	t.builtinAliases = t.table(from, "modules.builtin.alias", "modules.builtin.modinfo", parseModinfo)
	if t.modules.missing() {
		_ = t.Close() // the missing file is what matters
		return nil, &MissingError{t.dir}
	}
	return t, nil
}

func (t *Tables) all() []*table {
	return []*table{t.modules, t.aliases, t.symbols, t.builtins, t.builtinAliases}
}

// Dir returns the module directory.
func (t *Tables) Dir() string { return t.dir }

// Close ends the mappings. No look-up may be under way, and none may follow.
func (t *Tables) Close() error {
	var first error
	for _, table := range t.all() {
		if err := table.close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Release gives the mapped pages back to the kernel, where they stay cached.
// The next look-up maps those that it needs again, at some microseconds each.
// It is meant for a process that has gone quiet.
func (t *Tables) Release() {
	for _, table := range t.all() {
		table.release()
	}
}

// Warnings returns what has been found wrong with the tables so far, a line for
// each, with file and cure.
func (t *Tables) Warnings() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.warnings...)
}

func (t *Tables) warn(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}
