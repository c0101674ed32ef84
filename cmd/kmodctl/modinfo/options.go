package modinfo

import (
	"errors"
	"fmt"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
)

// options are what a command line says, but for the modules.
type options struct {
	field   string
	every   bool // all fields, and not that one
	end     byte // of what is shown
	names   bool // the arguments are names of modules and nothing else
	root    string
	release string // of the kernel, "" for the running one
	hints   bool   // that kmod does not give
}

// errNothing is a command line without modules.
//
//lint:ignore ST1005 these are modinfo's words
var errNothing = errors.New("missing module or filename.")

// parse reads a command line.
func parse(args []string, version string) (o options, words []string, err error) {
	o = options{end: '\n', every: true, hints: true}
	words, err = getopt.Parse(args, o.table(version))
	if err == nil && len(words) == 0 {
		err = errNothing
	}
	return o, words, err
}

// table is what there is to say.
func (o *options) table(version string) []getopt.Option {
	only := func(short byte, long, field string) getopt.Option {
		return getopt.Does(short, long, func() { o.every, o.field = false, field })
	}
	return []getopt.Option{
		only('a', "author", "author"),
		only('d', "description", "description"),
		only('l', "license", "license"),
		only('p', "parameters", "parm"),
		only('n', "filename", "filename"),
		getopt.Takes('F', "field", func(field string) { o.every, o.field = false, field }),
		getopt.Does('0', "null", func() { o.end = 0 }),
		getopt.On('m', &o.names, "modname"),
		getopt.Takes('k', "set-version", func(release string) { o.release = release }),
		getopt.Takes('b', "basedir", func(dir string) { o.root = dir }),
		{Long: []string{"compat"}, Value: true, Do: o.setCompat},
		getopt.Asks('V', "version", "kmodd version "+version+"\n"),
		getopt.Asks('h', "help", usage),
	}
}

func (o *options) setCompat(value string) error {
	if value != "kmod" {
		return fmt.Errorf("compatible with '%s'? kmod is all there is: --compat=kmod", value)
	}
	o.hints = false
	return nil
}

const usage = `Usage:
	modinfo [options] MODULE|FILE...

MODULE is the name of a module, or an alias such as a MODALIAS.

What to show:
	-a, --author             the authors alone
	-d, --description        the description alone
	-l, --license            the licence alone
	-p, --parameters         the parameters alone, with types and descriptions
	-n, --filename           the path of the file alone
	-F, --field=FIELD        this field alone, such as depends or firmware
	-0, --null               end with NUL what else ends with a line

In general:
	-m, --modname            what is given are names of modules, nothing else
	-b, --basedir=DIR        use the modules in DIR/lib/modules
	-k, --set-version=VERSION
	                         use the modules of this kernel
	    --compat=kmod        no more words than kmod has
	-V, --version            print the version
	-h, --help               print this
`
