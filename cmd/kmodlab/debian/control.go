package debian

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// A stanza is one paragraph of Debian's control data as apt-cache show prints
// it: the fields of one package (deb-control(5)).
type stanza map[string]string

// parseStanzas reads paragraphs of "Field: value" lines, which empty lines
// part. Continuation lines (those that begin with a space) are left out: the
// fields that the bench reads have none.
func parseStanzas(r io.Reader) ([]stanza, error) {
	var all []stanza
	var now stanza
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.TrimSpace(line) == "" {
			now = nil
			continue
		}
		field, value, ok := strings.Cut(line, ":")
		if line[0] == ' ' || line[0] == '\t' || !ok {
			continue
		}
		if now == nil {
			now = stanza{}
			all = append(all, now)
		}
		now[field] = strings.TrimSpace(value)
	}
	return all, lines.Err()
}

// depends lists the names in the fields Depends and Pre-Depends: of
// alternatives the first, without versions and architectures.
func (s stanza) depends() []string {
	var names []string
	for _, field := range []string{"Pre-Depends", "Depends"} {
		for clause := range strings.SplitSeq(s[field], ",") {
			first, _, _ := strings.Cut(clause, "|")
			name, _, _ := strings.Cut(strings.TrimSpace(first), " ")
			name, _, _ = strings.Cut(name, ":")
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// imagePackage is the package that holds the kernel, as the meta package names
// it.
func (s stanza) imagePackage() (string, error) {
	for _, name := range s.depends() {
		if strings.HasPrefix(name, "linux-image-") {
			return name, nil
		}
	}
	return "", fmt.Errorf("package %s %s depends on no linux-image-*: %q", s["Package"], s["Version"], s["Depends"])
}
