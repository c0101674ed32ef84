package modalias

import (
	"fmt"
	"strings"
)

// ModuleName returns the kernel's name of the module in a file called name:
// everything before the first ".", with "_" for "-". It takes names without
// an extension as well.
func ModuleName(name string) string {
	if dot := strings.IndexByte(name, '.'); dot >= 0 {
		name = name[:dot]
	}
	return strings.ReplaceAll(name, "-", "_")
}

// MaxLen is how many bytes an alias or a name can have that is looked up: one
// less than PATH_MAX, as for depmod and modprobe.
const MaxLen = 4095

// A NameError says why a string can't be an alias or a configuration name.
type NameError struct {
	Name   string
	Offset int    // of the offending byte
	Says   string // what is wrong with it
}

var _ error = (*NameError)(nil)

func (e *NameError) Error() string {
	const enough = 100 // of a name that may be long
	return fmt.Sprintf("name %.*q, byte %d: %s", enough, e.Name, e.Offset, e.Says)
}

// Normalize returns an alias, a pattern, or a name that somebody asks for in the
// form in which depmod stores them: with "_" for "-" except between "[" and "]",
// where "-" makes a range. The error is a *NameError, for a "]" that nothing
// opened, a "[" that nothing closes, or more than MaxLen bytes.
func Normalize(name string) (string, error) {
	if len(name) > MaxLen {
		return "", &NameError{name, MaxLen, fmt.Sprintf("longer than %d bytes", MaxLen)}
	}
	return NormalizeConfigured(name)
}

// NormalizeConfigured is Normalize for what modprobe.d says, which may be of any
// length.
func NormalizeConfigured(name string) (string, error) {
	var out []byte // nil until the first change
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '-':
			if out == nil {
				out = []byte(name)
			}
			out[i] = '_'
		case ']':
			return "", &NameError{name, i, `"]" without "["`}
		case '[':
			end := strings.IndexByte(name[i:], ']')
			if end < 0 {
				return "", &NameError{name, i, `"[" without "]"`}
			}
			i += end
		}
	}
	if out == nil {
		return name, nil
	}
	return string(out), nil
}
