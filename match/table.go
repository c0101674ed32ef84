package match

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/match/regular"
)

// files is where a directory's files come from.
type files interface {
	mapped(name string) ([]byte, error) // fails with os.ErrNotExist where there is none
	text(name string) (string, error)
}

// A directory is files on disk.
type directory string

func (d directory) text(name string) (string, error) {
	text, _, err := regular.Read(filepath.Join(string(d), name))
	return text, err
}

func (d directory) mapped(name string) ([]byte, error) {
	return regular.Map(filepath.Join(string(d), name))
}

// texts are files in memory, which have no indexes.
type texts map[string]string

func (t texts) mapped(name string) ([]byte, error) { return nil, os.ErrNotExist }

func (t texts) text(name string) (string, error) {
	if text, ok := t[name]; ok {
		return text, nil
	}
	return "", os.ErrNotExist
}

// A table is one of depmod's tables: an index, mapped or built from text.
type table struct {
	of       *Tables
	from     files
	binary   string // name of the index
	textName string // name of the text that says the same
	parse    func(text string) []line

	now     atomic.Pointer[source]
	mapping []byte // the mapped index, even when it is no longer used

	// rebuild lets one of several look-ups that find the index unsound replace
	// it while the others wait.
	rebuild sync.Mutex
}

// A source is what a table's answers come from.
type source struct {
	*index.Index
	path    string
	mapping []byte // nil if it is built from text; then priorities are line numbers
}

// nothing is an index without entries.
var nothing = sync.OnceValue(func() *index.Index {
	data, _ := index.Write(nil)
	x, _ := index.New(data)
	return x
})

// table opens the table that is called name: NAME.bin, or else the text.
func (t *Tables) table(from files, name, textName string, parse func(string) []line) *table {
	b := &table{of: t, from: from, binary: name + ".bin", textName: textName, parse: parse}
	data, err := from.mapped(b.binary)
	if err == nil {
		b.mapping = data
		s := &source{path: filepath.Join(t.dir, b.binary), mapping: data}
		if err = s.guard(func() (err error) { s.Index, err = index.New(data); return err }); err == nil {
			b.now.Store(s)
			return b
		}
	}
	b.now.Store(b.fromText(err))
	return b
}

// fromText returns what the text has in place of the index, which failed.
func (b *table) fromText(failed error) *source {
	s := &source{Index: nothing(), path: filepath.Join(b.of.dir, b.textName)}
	text, err := b.from.text(b.textName)
	if _, made := b.from.(texts); !made {
		b.warnBinary(failed, err)
	}
	if err != nil {
		return s
	}
	var entries []index.Entry
	for _, l := range b.parse(text) {
		if l.err == nil {
			l.err = l.Check()
		}
		if l.err != nil {
			b.of.warn("%s:%d: line skipped: %v", s.path, l.number, l.err)
			continue
		}
		entries = append(entries, l.Entry)
	}
	data, err := index.Write(entries)
	if err == nil {
		s.Index, err = index.New(data)
	}
	if err != nil {
		b.of.warn("%s: %v", s.path, err)
		s.Index = nothing()
	}
	return s
}

// warnBinary says that an index can't be used, and what happens instead.
func (b *table) warnBinary(failed, text error) {
	path := filepath.Join(b.of.dir, b.binary)
	var pathError *os.PathError
	if errors.As(failed, &pathError) {
		failed = pathError.Err
	}
	instead := "using " + b.textName
	if text != nil {
		instead = "and " + b.textName + " can't be read either"
	}
	b.of.warn("%s: %v; %s; to repair it run depmod %s", path, failed, instead, filepath.Base(b.of.dir))
}

// missing reports whether the table is nowhere.
func (b *table) missing() bool {
	s := b.now.Load()
	return s.mapping == nil && s.Index == nothing()
}

// look runs a look-up in the table and returns where the answer is from. If the
// mapped index turns out to be unsound, look runs again, in the text.
func (b *table) look(ask func(*index.Index) error) *source {
	s := b.now.Load()
	err := s.guard(func() error { return ask(s.Index) })
	if err == nil {
		return s
	}
	s = b.replace(s, err)
	if err := ask(s.Index); err != nil {
		b.of.warn("%s: %v", s.path, err)
	}
	return s
}

// replace puts the text in the place of an index that failed.
func (b *table) replace(failed *source, err error) *source {
	b.rebuild.Lock()
	defer b.rebuild.Unlock()
	if s := b.now.Load(); s != failed {
		return s
	}
	s := b.fromText(err)
	b.now.Store(s)
	return s
}

// guard runs look, and returns an error if that touches a page of the mapping
// that the file no longer has.
func (s *source) guard(look func() error) (err error) {
	if s.mapping == nil {
		return look()
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok || !s.covers(fault.Addr()) {
			panic(r)
		}
		err = errors.New("file has shrunk while in use")
	}()
	return look()
}

func (s *source) covers(addr uintptr) bool {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(s.mapping)))
	return addr >= start && addr-start < uintptr(len(s.mapping))
}

func (b *table) close() error {
	if b.mapping == nil {
		return nil
	}
	data := b.mapping
	b.mapping = nil
	if err := unix.Munmap(data); err != nil {
		return fmt.Errorf("unmap %s: %w", b.binary, err)
	}
	return nil
}

func (b *table) release() {
	if b.mapping != nil {
		// It can only fail for a range that is not mapped.
		_ = unix.Madvise(b.mapping, unix.MADV_DONTNEED)
	}
}
