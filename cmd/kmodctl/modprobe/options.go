package modprobe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/rules/modprobed"
)

// options are what a command line says, but for the names.
type options struct {
	all, remove, resolve, depends, config bool
	versions, exports                     bool
	dry, first, blacklist, bare, holders  bool

	force   kernel.Force
	forced  bool // taking out, too
	wait    time.Duration
	configs []string // in place of the directories of modprobe.d
	root    string
	release string // of the kernel, "" for the running one
	syslog  bool
	dialect modprobed.Dialect

	// verbosity is the priority of syslog(3) up to which there are messages.
	verbosity int
	// inherited are the options that commands of modprobe.d which call modprobe
	// shall have, in MODPROBE_OPTIONS: what kmod's own would understand.
	inherited []string
}

// errNothing is a command line without names.
//
//lint:ignore ST1005 these are modprobe's words
var errNothing = errors.New("missing parameters. See -h.")

// A valueError is an option's value that means nothing.
type valueError struct{ says string }

var _ error = (*valueError)(nil)

func (e *valueError) Error() string { return e.says }

// parse reads a command line.
func parse(args []string, version string) (o options, words []string, err error) {
	o = options{verbosity: kmodlog.Warning, root: "/"}
	words, err = getopt.Parse(args, o.table(version))
	if err == nil && len(words) == 0 && !o.config {
		err = errNothing
	}
	o.dry = o.dry || o.depends
	return o, words, err
}

// table is what there is to say.
func (o *options) table(version string) []getopt.Option {
	return slices.Concat(o.acts(), o.questions(), o.generals(version))
}

func (o *options) acts() []getopt.Option {
	return []getopt.Option{
		getopt.On('a', &o.all, "all"),
		getopt.On('r', &o.remove, "remove"),
		getopt.On(0, &o.holders, "remove-holders", "remove-dependencies"),
		{Short: 'w', Long: []string{"wait"}, Value: true, Do: o.setWait},
		getopt.On(0, &o.first, "first-time"),
		getopt.On('i', &o.bare, "ignore-install", "ignore-remove"),
		getopt.On('b', &o.blacklist, "use-blacklist"),
		getopt.Does('f', "force", func() { o.forced, o.force = true, kernel.ForceVersions|kernel.ForceMagic }),
		getopt.Does(0, "force-modversion", func() { o.force |= kernel.ForceVersions }),
		getopt.Does(0, "force-vermagic", func() { o.force |= kernel.ForceMagic }),
	}
}

func (o *options) questions() []getopt.Option {
	return []getopt.Option{
		getopt.On('R', &o.resolve, "resolve-alias"),
		getopt.On('D', &o.depends, "show-depends"),
		getopt.On('c', &o.config, "showconfig", "show-config"),
		getopt.On(0, &o.versions, "dump-modversions", "show-modversions"),
		getopt.On(0, &o.exports, "show-exports"),
		getopt.On('n', &o.dry, "dry-run", "show"),
	}
}

func (o *options) generals(version string) []getopt.Option {
	return []getopt.Option{
		getopt.Takes('C', "config", func(path string) {
			o.configs = append(o.configs, path)
			o.inherited = append(o.inherited, "-C", path)
		}),
		getopt.Takes('d', "dirname", func(dir string) { o.root = dir }),
		getopt.Takes('S', "set-version", func(release string) { o.release = release }),
		getopt.Does('s', "syslog", func() {
			o.syslog = true
			o.inherited = append(o.inherited, "-s")
		}),
		getopt.Does('q', "quiet", func() {
			o.verbosity = kmodlog.Silent
			o.inherited = append(o.inherited, "-q")
		}),
		getopt.Does('v', "verbose", func() {
			o.verbosity++
			o.inherited = append(o.inherited, "-v")
		}),
		{Long: []string{"compat"}, Value: true, Do: o.setCompat},
		getopt.Asks('V', "version", "kmodd version "+version+"\n"),
		getopt.Asks('h', "help", usage),
	}
}

func (o *options) setWait(value string) error {
	ms, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return &valueError{fmt.Sprintf("unexpected wait value '%s'.", value)}
	}
	o.wait = time.Duration(ms) * time.Millisecond
	return nil
}

func (o *options) setCompat(value string) error {
	if value != "kmod" {
		return &valueError{fmt.Sprintf("compatible with '%s'? kmod is all there is: --compat=kmod", value)}
	}
	o.dialect = modprobed.Kmod
	return nil
}

// words splits the value of MODPROBE_OPTIONS at blanks that no quotes are
// around, and takes the quotes away.
func words(line string) (list []string) {
	var word strings.Builder
	begun, quote := false, rune(0)
	for _, r := range line + " " {
		switch {
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"', r == '\'':
			begun, quote = true, r
		case r != ' ':
			begun = true
			word.WriteRune(r)
		case begun:
			list = append(list, word.String())
			word.Reset()
			begun = false
		}
	}
	if begun { // the quote has no end
		list = append(list, word.String())
	}
	return list
}

// parameters puts the words behind a module's name into the form in which the
// kernel reads parameters: a value with blanks in it, which a shell has taken
// the quotes from, has quotes around it.
func parameters(words []string) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		name, value, ok := strings.Cut(word, "=")
		if ok && strings.Contains(value, " ") && !strings.ContainsAny(value[:1], `"'`) {
			word = name + `="` + value + `"`
		}
		b.WriteString(word)
	}
	return b.String()
}

const usage = `Usage:
	modprobe [options] MODULE [PARAMETER=VALUE...]
	modprobe [options] -a MODULE...
	modprobe [options] -r [-a] MODULE...
	modprobe [options] -R|-D MODULE
	modprobe [options] -c
	modprobe [options] --show-exports|--dump-modversions FILE

MODULE is the name of a module, or an alias such as a MODALIAS.

What to do:
	-a, --all                take every word for a module
	-r, --remove             take modules out, and what only they have used
	    --remove-holders     with -r: take out first the modules that use them
	-w, --wait=MSEC          with -r: wait up to MSEC ms for a module in use
	    --first-time         fail if there is nothing to do
	-i, --ignore-install, --ignore-remove
	                         pass over the commands and softdeps of MODULE
	-b, --use-blacklist      have blacklists hold for names of modules, too
	-f, --force              --force-modversion and --force-vermagic; with -r,
	                         what has no exit function, too
	    --force-modversion   don't compare versions of symbols
	    --force-vermagic     don't compare the kernel that a module is built for

What to show:
	-n, --dry-run, --show    do nothing; with -v, print what would be done
	-D, --show-depends       print what would be put in, loaded or not
	-R, --resolve-alias      print which modules MODULE stands for
	-c, --showconfig         print the configuration
	    --show-exports       print the versions of what a file exports
	    --dump-modversions, --show-modversions
	                         print the versions of what a file needs

In general:
	-C, --config=PATH        read this file or directory instead of modprobe.d
	-d, --dirname=DIR        use the modules in DIR/lib/modules
	-S, --set-version=VERSION
	                         use the modules of this kernel
	-q, --quiet              no messages
	-v, --verbose            more messages
	-s, --syslog             messages to syslog
	    --compat=kmod        do all as kmod does it
	-V, --version            print the version
	-h, --help               print this

Options in the variable MODPROBE_OPTIONS come before those on the command line.
`
