package depmod

import (
	"fmt"
	"path"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/kmodd/kmodd/modalias"
)

// Build makes the tables of a tree. A file that is no module, or a damaged one, is
// told of and is in modules.dep as a module that needs nothing, as depmod has it.
// What ends it is a directory that can't be read, and a [*CycleError].
func Build(t Tree, l Listener) (*Tables, error) {
	begun := now()
	found, err := t.find(l)
	if err != nil {
		return nil, err
	}
	modules := t.sorted(found, t.order(l))
	s := load(&t, modules, l)
	s.offer(t.Kernel, modules)
	t.connect(modules, s, l)
	if err := arrange(modules); err != nil {
		return nil, err
	}
	return &Tables{tree: t, listener: l, modules: modules, symbols: s, begun: begun}, nil
}

// find returns the path of each module that counts, by name.
func (t *Tree) find(l Listener) (map[string]string, error) {
	w := walk{Tree: *t, Listener: l, found: make(map[string]string)}
	if t.Only == nil {
		return w.found, w.search()
	}
	for _, file := range t.Only {
		if err := w.take(file); err != nil {
			return nil, err
		}
	}
	return w.found, nil
}

// take takes a file that somebody has named, whatever its name.
func (w *walk) take(file string) error {
	name := modalias.ModuleName(path.Base(file))
	if other, twice := w.found[name]; twice {
		return fmt.Errorf("two files of one module: %s and %s", other, file)
	}
	if _, err := w.stat(file); err != nil {
		return err
	}
	w.found[name] = file
	return nil
}

// order reads modules.order. Without it the order is that of depmod's hash table.
func (t *Tree) order(l Listener) order {
	const name = "modules.order"
	text, err := t.read(name)
	if err != nil {
		l.say(Warning, "%v", err)
		return nil
	}
	places, err := readOrder(text)
	if err != nil {
		l.say(Error, "%s/%s: %v", t.Dir, name, err)
	}
	return places
}

// checks says whether the versions of symbols are compared.
func (t *Tree) checks() bool { return t.Missing && t.Kernel.versions }

// load reads all modules, as many at a time as there are processors, and tells
// then what was wrong with them, in their order.
func load(t *Tree, modules []*module, l Listener) *symbols {
	all := &loading{tree: t, modules: modules, listener: l}
	readers := make([]*reader, runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	for i := range readers {
		r := &reader{loading: all, symbols: newSymbols(t.Prefix)}
		readers[i] = r
		running.Go(r.read)
	}
	running.Wait()
	for _, r := range readers[1:] {
		r.join(readers[0].symbols)
	}
	for _, m := range modules {
		if m.err != nil {
			l.say(Error, "failed to load symbols from %s: %v", m.path, m.err)
		}
		for _, key := range m.left {
			l.say(Warning, "%s: %s with a line break left out", m.path, key)
		}
	}
	return readers[0].symbols
}

// A loading is what the readers of modules share.
type loading struct {
	tree    *Tree
	modules []*module
	next    atomic.Int64 // the module that nobody reads yet

	// mu is for done and the listener, whom the readers tell of their progress.
	mu       sync.Mutex
	done     int
	listener Listener
}

// A reader reads some of the modules.
type reader struct {
	*loading
	symbols *symbols
	mine    []*module
	window  window
}

// read reads modules until there are no more.
func (r *reader) read() {
	for {
		i := int(r.next.Add(1)) - 1
		if i >= len(r.modules) {
			return
		}
		m := r.modules[i]
		m.contents = r.load(m.path)
		r.mine = append(r.mine, m)
		r.progress()
	}
}

func (l *loading) progress() {
	if l.listener.Read == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	l.listener.Read(l.done, len(l.modules))
}

// join has the reader's modules have the IDs of other symbols.
func (r *reader) join(others *symbols) {
	ids := others.adopt(r.symbols)
	for _, m := range r.mine {
		for i := range m.exports {
			m.exports[i].symbol = ids[m.exports[i].symbol]
		}
		for i := range m.wants {
			m.wants[i].symbol = ids[m.wants[i].symbol]
		}
	}
}
