package policy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kmodd/kmodd/rules/policy"
)

const reference = "../../deploy/kmodd/reference.toml"

func readReference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheRulesForAFastBootHaveNoMistake(t *testing.T) {
	text, err := os.ReadFile("../../deploy/kmodd/fast-boot.toml")
	if err != nil {
		t.Fatal(err)
	}
	p := policy.Parse(policy.File{Name: "fast-boot.toml", Text: string(text)})
	if len(p.Warnings) > 0 || len(p.Rules) != 1 || p.Rules[0].Stage != policy.Deferred {
		t.Errorf("%v %s", p.Rules, warnings(p))
	}
}

func TestTheReferenceFileHasEveryKeyAndNoMistake(t *testing.T) {
	text := readReference(t)
	p := policy.Parse(policy.File{Name: "reference.toml", Text: text})
	if len(p.Warnings) > 0 {
		t.Error(warnings(p))
	}
	// Who misspells a key is told of all of them.
	all := warnings(parse("[[rule]]\nfrobnicate = 1"))
	_, list, _ := strings.Cut(all, ", only ")
	list, _, _ = strings.Cut(list, ":")
	for key := range strings.SplitSeq(list+", bind_timeout", ", ") {
		if !regexp.MustCompile(`(?m)^` + key + ` *= `).MatchString(text) {
			t.Errorf("%s does not show %s", reference, key)
		}
	}
	for _, stage := range policy.Stages {
		if !strings.Contains(text, "\n#   "+string(stage)+" ") {
			t.Errorf("%s does not tell of the stage %s", reference, stage)
		}
	}
}

func TestTheReferenceFileNamesAllClasses(t *testing.T) {
	_, list, _ := strings.Cut(readReference(t), "(\"kmodctl why\" shows it):\n")
	list, _, _ = strings.Cut(list, "\nclass = ")
	var named []string
	for word := range strings.FieldsSeq(list) {
		if word != "#" {
			named = append(named, word)
		}
	}
	slices.Sort(named)
	if diff := cmp.Diff(policy.Classes(), named); diff != "" {
		t.Error(diff)
	}
}

// The first line that is not blank before each key is a comment, so that nobody
// meets one unexplained.
func TestTheReferenceFileExplainsEveryKey(t *testing.T) {
	explained := false
	for line := range strings.Lines(readReference(t)) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "#"):
			explained = true
		case strings.HasPrefix(line, "["):
			explained = false
		case strings.Contains(line, "=") && !explained && !strings.HasPrefix(line, "name"):
			t.Errorf("nothing explains %q", line)
		}
	}
}
