package getopt

import "fmt"

// On is an option that switches something on.
func On(short byte, what *bool, long ...string) Option {
	return Option{Short: short, Long: long, Do: func(string) error {
		*what = true
		return nil
	}}
}

// Does is an option that has no value, and can't be wrong.
func Does(short byte, long string, what func()) Option {
	return Option{Short: short, Long: []string{long}, Do: func(string) error {
		what()
		return nil
	}}
}

// Takes is an option with a value that may be anything.
func Takes(short byte, long string, what func(value string)) Option {
	return Option{Short: short, Long: []string{long}, Value: true, Do: func(value string) error {
		what(value)
		return nil
	}}
}

// An Answer is what [Parse] returns of a command line that asks about the command
// itself: what is to be printed in place of all else.
type Answer string

var _ error = Answer("")

func (a Answer) Error() string { return string(a) }

// Asks is an option that is answered, such as --help.
func Asks(short byte, long, answer string) Option {
	return Option{Short: short, Long: []string{long}, Do: func(string) error { return Answer(answer) }}
}

// Compat is --compat=kmod, which asks a tool to do all as kmod does it.
func Compat(kmod *bool) Option {
	return Option{Long: []string{"compat"}, Value: true, Do: func(value string) error {
		if value != "kmod" {
			return fmt.Errorf("compatible with '%s'? kmod is all there is: --compat=kmod", value)
		}
		*kmod = true
		return nil
	}}
}
