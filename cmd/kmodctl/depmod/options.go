package depmod

import (
	"errors"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
)

// options are what a command line says, but for the release and the files.
type options struct {
	all, quick, show    bool
	missing, duplicates bool

	root, out       string   // as they are written, "" for none
	configs         []string // in place of the directories of depmod.d
	symvers, sysmap string   // files about the kernel's own symbols
	prefix          byte

	verbosity  int
	deprecated []string // options that are given and do nothing
}

// errPrefix is a value of -P that can't be.
var errPrefix = errors.New("-P only takes a single char")

// A versionError is a word in the place of a kernel's release.
type versionError struct{ word string }

var _ error = (*versionError)(nil)

func (e *versionError) Error() string {
	return "Bad version passed " + e.word + ": it does not begin with two numbers and a dot, as uname -r does"
}

// parse reads a command line.
func parse(args []string, version string) (o options, words []string, err error) {
	o.verbosity = kmodlog.Warning
	words, err = getopt.Parse(args, o.table(version))
	return o, words, err
}

func (o *options) table(version string) []getopt.Option {
	table := []getopt.Option{
		getopt.On('a', &o.all, "all"),
		getopt.On('A', &o.quick, "quick"),
		getopt.On('n', &o.show, "show", "dry-run"),
		getopt.On('e', &o.missing, "errsyms"),
		getopt.On('w', &o.duplicates, "warn"),
		getopt.Takes('b', "basedir", func(dir string) { o.root = dir }),
		getopt.Takes('o', "outdir", func(dir string) { o.out = dir }),
		getopt.Takes('E', "symvers", func(file string) { o.symvers = file }),
		getopt.Takes('F', "filesyms", func(file string) { o.sysmap = file }),
		getopt.Takes('C', "config", func(path string) { o.configs = append(o.configs, path) }),
		{Short: 'P', Long: []string{"symbol-prefix"}, Value: true, Do: o.setPrefix},
		getopt.Does('v', "verbose", func() { o.verbosity++ }),
		getopt.Asks('V', "version", "kmod version "+version+"\n"),
		getopt.Asks('h', "help", usage),
	}
	for _, old := range []string{"unresolved-error", "quiet", "root", "map"} {
		table = append(table, o.ignored(old[0], "-"+old[:1]), o.ignored(0, "--"+old, old))
	}
	return table
}

// ignored is an option that does nothing.
func (o *options) ignored(short byte, written string, long ...string) getopt.Option {
	return getopt.Option{Short: short, Long: long, Do: func(string) error {
		o.deprecated = append(o.deprecated, written)
		return nil
	}}
}

func (o *options) setPrefix(value string) error {
	if len(value) != 1 {
		return errPrefix
	}
	o.prefix = value[0]
	return nil
}

// isRelease says whether a word begins as a kernel's release does, with two
// numbers and a dot between.
func isRelease(word string) bool {
	const digits = "0123456789"
	rest := strings.TrimLeft(word, digits)
	minor, dot := strings.CutPrefix(rest, ".")
	return dot && rest != word && strings.TrimLeft(minor, digits) != minor
}

const usage = `Usage:
	depmod [options] [VERSION]
	depmod [options] VERSION FILE...

Makes the tables of the modules in /lib/modules/VERSION, which modprobe and kmodd
read. Without VERSION, they are those of the running kernel. With FILEs, which are
absolute paths, only these are taken for its modules.

	-a, --all                take all modules, whatever FILEs there are
	-A, --quick              do nothing if no module has come since the last time
	-n, --show, --dry-run    print the tables that are text, and write none
	-b, --basedir=DIR        use the modules in DIR/lib/modules/VERSION
	-o, --outdir=DIR         write into DIR/lib/modules/VERSION
	-C, --config=PATH        read this file or directory instead of depmod.d
	-e, --errsyms            with -E or -F: name the symbols that nobody has
	-E, --symvers=FILE       the kernel has the symbols in this Module.symvers;
	                         with -e, compare their versions, too
	-F, --filesyms=FILE      the kernel has the symbols in this System.map
	-P, --symbol-prefix=CHAR symbols have this before their names
	-w, --warn               name the aliases that a module has twice
	-v, --verbose            print who needs whom, and for which symbol
	-V, --version            print the version
	-h, --help               print this
`
