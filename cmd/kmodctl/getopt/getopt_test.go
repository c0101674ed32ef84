package getopt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/cmd/kmodctl/getopt"
)

// options are some that write down what they are told.
func options(said *[]string) []getopt.Option {
	say := func(name string) func(string) error {
		return func(value string) error {
			*said = append(*said, strings.TrimSuffix(name+"="+value, "="))
			return nil
		}
	}
	return []getopt.Option{
		{Short: 'q', Long: []string{"quiet"}, Do: say("q")},
		{Short: 'c', Long: []string{"show-config", "showconfig"}, Do: say("c")},
		{Short: 'n', Long: []string{"show", "dry-run"}, Do: say("n")},
		{Short: 'C', Long: []string{"config"}, Value: true, Do: say("C")},
		{Long: []string{"refused"}, Do: func(string) error { return fmt.Errorf("refused") }},
	}
}

func TestCommandLinesAreReadAsGetoptLongDoes(t *testing.T) {
	for _, test := range []struct{ line, said, words, err string }{
		{line: "-x", err: "invalid option -- 'x'"},
		{line: "a -qx b", said: "q", words: "a", err: "invalid option -- 'x'"},
		{line: "-C", err: "option requires an argument -- 'C'"},
		{line: "--config", err: "option '--config' requires an argument"},
		{line: "--conf", err: "option '--config' requires an argument"},
		{line: "--quiet=1", err: "option '--quiet' doesn't allow an argument"},
		{line: "--sho", err: "option '--sho' is ambiguous; possibilities: '--show-config' '--showconfig' '--show'"},
		{line: "--nothing", err: "unrecognized option '--nothing'"},
		{line: "--refused -q", err: "refused"},
		{line: "", said: ""},
		{line: "-qnq a", said: "q n q", words: "a"},
		{line: "a -q b", said: "q", words: "a b"},
		{line: "a -- -q b", words: "a -q b"},
		{line: "- -q", said: "q", words: "-"},
		{line: "-C x -Cy -qCz --config=u --config v --conf=w", said: "C=x C=y q C=z C=u C=v C=w"},
		{line: "-C -q", said: "C=-q"},
		{line: "--show --show-c --showc", said: "n c c"},
		{line: "--config=", said: "C"},
	} {
		t.Run(test.line, func(t *testing.T) {
			var said []string
			words, err := getopt.Parse(strings.Fields(test.line), options(&said))
			got := []string{strings.Join(said, " "), strings.Join(words, " "), ""}
			if err != nil {
				got[2] = err.Error()
			}
			if diff := cmp.Diff([]string{test.said, test.words, test.err}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFirstWordEndsTheOptionsUnderPosix(t *testing.T) {
	t.Setenv("POSIXLY_CORRECT", "")
	var said []string
	words, err := getopt.Parse([]string{"-q", "a", "-n"}, options(&said))
	if diff := cmp.Diff([]any{[]string{"q"}, []string{"a", "-n"}, error(nil)}, []any{said, words, err}); diff != "" {
		t.Error(diff)
	}
}
