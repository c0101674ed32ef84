package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// atOnce is how many modules loadList loads at a time.
const atOnce = 16

// A listed is a module that is on its way in, and done when it was tried.
type listed struct {
	file  string
	needs []string
	done  chan struct{}
}

// loadList puts in the modules that a file names, a name on each line, as fast as that
// can be done by somebody who has to find out nothing: after what they need, many at a
// time. Those that the kernel refuses are passed over.
func loadList(file, options string) error {
	names, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	modules, err := readDependencies()
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(names)) {
		if modules[name] == nil {
			return fmt.Errorf("modules.dep has no %s", name)
		}
		modules[name].done = make(chan struct{})
	}
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for name := range strings.FieldsSeq(string(names)) {
		m := modules[name]
		all.Go(func() {
			defer close(m.done)
			for _, need := range m.needs {
				if other := modules[need]; other != nil && other.done != nil {
					<-other.done
				}
			}
			slots <- struct{}{}
			insert(m.file, options)
			<-slots
		})
	}
	all.Wait()
	return nil
}

// insert puts a module in. That some find no hardware is as it should be.
func insert(file, options string) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), options, 0); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EEXIST) {
		fmt.Fprintln(os.Stderr, file, err)
	}
}

// readDependencies reads modules.dep(5).
func readDependencies() (map[string]*listed, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, err
	}
	dir := "/lib/modules/" + unix.ByteSliceToString(name.Release[:])
	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	modules := make(map[string]*listed)
	for line := range strings.Lines(string(text)) {
		file, needs, _ := strings.Cut(line, ":")
		m := &listed{file: filepath.Join(dir, file)}
		for need := range strings.FieldsSeq(needs) {
			m.needs = append(m.needs, moduleName(need))
		}
		modules[moduleName(file)] = m
	}
	return modules, nil
}

func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}
