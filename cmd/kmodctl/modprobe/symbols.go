package modprobe

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/cmd/kmodctl/libc"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// showSymbols prints the versions of the symbols that a file needs, or exports. That
// there are none is a failure, as for kmod.
func (c *command) showSymbols(path string) bool {
	if _, err := os.Stat(path); err != nil {
		c.grave("Module %s not found.", path)
		return false
	}
	what, read := "modversions", (*kofile.File).Versions
	if !c.versions {
		what, read = "symbols", exported
	}
	symbols, err := symbolsIn(path, read)
	if err != nil {
		c.grave("could not get %s of %s: %s", what, path, libc.Strerror(libc.Errno(err)))
		if _, unsound := errors.AsType[*kofile.Error](err); unsound {
			c.hint("%s: %v", path, err)
		}
		return false
	}
	out := bufio.NewWriter(c.stdout)
	defer out.Flush()
	for _, s := range symbols {
		fmt.Fprintf(out, "0x%08x\t%s\n", s.CRC, s.Name)
	}
	return true
}

func exported(f *kofile.File) (versions []kofile.Version, err error) {
	symbols, err := f.Symbols()
	for _, e := range symbols.Exports {
		versions = append(versions, kofile.Version{Name: e.Name, CRC: e.CRC})
	}
	return versions, err
}

func symbolsIn(path string, read func(*kofile.File) ([]kofile.Version, error)) ([]kofile.Version, error) {
	m, err := unpack.OpenModule(path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	symbols, err := read(m.File)
	if len(symbols) == 0 && err == nil {
		err = unix.ENOENT
	}
	return symbols, err
}
