package param

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
)

// A number is a type of parameters.
type number struct {
	least int64
	most  uint64
}

// numbers are the types of numbers, those of C's long for 64-bit kernels.
var numbers = map[string]number{
	"byte":   {0, math.MaxUint8},
	"short":  {math.MinInt16, math.MaxInt16},
	"ushort": {0, math.MaxUint16},
	"int":    {math.MinInt32, math.MaxInt32},
	"uint":   {0, math.MaxUint32},
	"hexint": {0, math.MaxUint32},
	"long":   {math.MinInt64, math.MaxInt64},
	"ulong":  {0, math.MaxUint64},
	"ullong": {0, math.MaxUint64},
}

// maxText is the length in bytes of a charp (param_set_charp).
const maxText = 1024

// A kind is a type of parameters in a module of so many bits.
type kind struct {
	name string
	bits int
}

// number is the range of a number, if it is one.
func (k kind) number() (n number, ok bool) {
	name := k.name
	if k.bits == 32 && (name == "long" || name == "ulong") {
		name = strings.Replace(name, "long", "int", 1)
	}
	n, ok = numbers[name]
	return n, ok
}

func (k kind) truth() bool { return k.name == "bool" || k.name == "invbool" || k.name == "bint" }

// takes says which values are of the type, "" if that is known to nobody.
func (k kind) takes() string {
	n, ok := k.number()
	switch {
	case ok:
		return fmt.Sprintf(" (%d to %d)", n.least, n.most)
	case k.truth():
		return " (y or n, 1 or 0, on or off)"
	}
	return ""
}

// set is what the kernel answers to a value of that type, 0 if it takes it or if it
// can't be known.
func (k kind) set(value string) syscall.Errno {
	n, ok := k.number()
	switch {
	case ok:
		return n.set(value)
	case k.truth():
		return truth(value)
	case k.name == "charp" && len(value) > maxText:
		return syscall.ENOSPC
	}
	return 0
}

// set is kstrtoll or kstrtoull of lib/kstrtox.c with the base 0, and the bounds of the type.
func (n number) set(value string) syscall.Errno {
	unsigned, negative := value, false
	if n.least < 0 {
		unsigned, negative = strings.CutPrefix(value, "-")
	}
	if !negative {
		unsigned = strings.TrimPrefix(value, "+")
	}
	size, err := magnitude(unsigned)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return syscall.ERANGE
	case err != nil:
		return syscall.EINVAL
	case negative && size > -uint64(n.least), !negative && size > n.most:
		return syscall.ERANGE
	}
	return 0
}

// magnitude is _kstrtoull: decimal, octal after a zero, hexadecimal after 0x. One
// newline may follow.
func magnitude(digits string) (uint64, error) {
	digits = strings.TrimSuffix(digits, "\n")
	base := 10
	switch {
	case len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X"):
		digits, base = digits[2:], 16
	case strings.HasPrefix(digits, "0"):
		base = 8
	}
	return strconv.ParseUint(digits, base, 64)
}

// truth is kstrtobool, which looks at one letter, or two after an o.
func truth(value string) syscall.Errno {
	switch {
	case value == "":
		return syscall.EINVAL
	case strings.IndexByte("yY1nN0tTfFeEdD", value[0]) >= 0:
		return 0
	case (value[0] == 'o' || value[0] == 'O') && len(value) > 1 && strings.IndexByte("nNfF", value[1]) >= 0:
		return 0
	}
	return syscall.EINVAL
}
