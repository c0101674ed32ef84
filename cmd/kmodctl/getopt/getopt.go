// Package getopt reads command lines as getopt_long(3) of the GNU C library
// does: what the tools of kmod, under whose names kmodctl can be called, have
// taught their users.
//
// Options may stand after other words, several short ones in one word (-qbn),
// the value of one in the same word or the next (-C FILE, -CFILE,
// --config=FILE), and a long name may be cut short where that is unambiguous.
// "--" ends the options. With POSIXLY_CORRECT in the environment the first
// other word does, too.
package getopt

import (
	"fmt"
	"os"
	"strings"
)

// An Option is one that a command knows.
type Option struct {
	Short byte     // 0 for none
	Long  []string // its names, without dashes
	Value bool     // one is needed
	Do    func(value string) error
}

// Parse calls Do for each option in args, in their order, and returns the other
// words. The first error, of Do or in the words of getopt_long(3), ends it.
func Parse(args []string, options []Option) (words []string, err error) {
	_, posix := os.LookupEnv("POSIXLY_CORRECT")
	for len(args) > 0 && err == nil {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			return append(words, args...), nil
		case strings.HasPrefix(word, "--"):
			args, err = long(word[2:], args, options)
		case len(word) > 1 && word[0] == '-':
			args, err = short(word[1:], args, options)
		case posix:
			return append(append(words, word), args...), nil
		default:
			words = append(words, word)
		}
	}
	return words, err
}

// short does what a bundle of short options says, and returns the arguments
// that are left.
func short(bundle string, args []string, options []Option) ([]string, error) {
	for bundle != "" {
		o := find(options, bundle[0])
		letter := bundle[:1]
		bundle = bundle[1:]
		value := ""
		switch {
		case o == nil:
			return args, fmt.Errorf("invalid option -- '%s'", letter)
		case o.Value && bundle != "":
			value, bundle = bundle, ""
		case o.Value && len(args) == 0:
			return args, fmt.Errorf("option requires an argument -- '%s'", letter)
		case o.Value:
			value, args = args[0], args[1:]
		}
		if err := o.Do(value); err != nil {
			return args, err
		}
	}
	return args, nil
}

func find(options []Option, letter byte) *Option {
	for i := range options {
		if options[i].Short == letter {
			return &options[i]
		}
	}
	return nil
}

// long does what a long option says, which is written without its dashes, and
// returns the arguments that are left.
func long(written string, args []string, options []Option) ([]string, error) {
	name, value, given := strings.Cut(written, "=")
	o, full, err := named(options, name)
	switch {
	case err != nil:
		return args, err
	case given && !o.Value:
		return args, fmt.Errorf("option '--%s' doesn't allow an argument", full)
	case o.Value && !given && len(args) == 0:
		return args, fmt.Errorf("option '--%s' requires an argument", full)
	case o.Value && !given:
		value, args = args[0], args[1:]
	}
	return args, o.Do(value)
}

// named finds the option of a long name, or of the beginning of one.
func named(options []Option, written string) (o *Option, full string, err error) {
	var possible []string
	several := false
	for i := range options {
		for _, name := range options[i].Long {
			if name == written {
				return &options[i], name, nil
			}
			if strings.HasPrefix(name, written) {
				several = several || o != nil && o != &options[i]
				o, full = &options[i], name
				possible = append(possible, fmt.Sprintf("'--%s'", name))
			}
		}
	}
	if several {
		return nil, "", fmt.Errorf("option '--%s' is ambiguous; possibilities: %s", written, strings.Join(possible, " "))
	}
	if o == nil {
		return nil, "", fmt.Errorf("unrecognized option '--%s'", written)
	}
	return o, full, nil
}
