package modalias

import (
	"iter"
	"strings"
)

// A Form is how the device ids of one bus are written: a prefix, then fields
// in a fixed order, each a tag and a value.
type Form struct {
	Bus    string // as in /sys/bus, where there is such a directory; no two forms have one name
	Prefix string // what each id begins with
	Fields []Field
	End    string // what each id ends with, after the last field

	// Tables are the device tables whose entries the kernel's build turns into
	// patterns of this form: what drivers name in MODULE_DEVICE_TABLE. There
	// are none where drivers write their patterns by hand, in MODULE_ALIAS.
	Tables []string
}

// A Field is one part of a device id.
type Field struct {
	Tag  string // what stands before the value, "" for nothing
	Name string // what the value is, in the kernel's words
	Kind Kind

	// Optional fields may be missing, or have a tag and no value.
	Optional bool
}

// A Kind says which values a field can have.
type Kind uint8

// The kinds. Those with a number have that many digits, as printf's %02X writes
// 8 bits, and above 9 they are capital letters unless the kind says Lower.
const (
	Text     Kind = iota // any text; as little of it as the following fields allow
	Name                 // Text of at least one byte
	Word                 // text without a ":"
	Hex1                 // one or two digits
	Hex2                 // 8 bits
	Hex4                 // 16 bits
	Hex6                 // 24 to 32 bits
	Hex8                 // 32 bits
	LowerHex             // up to 32 bits, in as many digits as the bus gives them
	Lower4               // 16 bits
	Lower32              // 16 bytes, two digits each
	Decimal              // a decimal number
	Bits                 // 32 binary digits
	Codes                // hexadecimal numbers, each with a "," before or after it
	UUID                 // 36 bytes, lower case
	GUID                 // 36 bytes, upper case
)

const (
	upperDigits = "0123456789ABCDEF"
	lowerDigits = "0123456789abcdef"
)

// kinds has the bytes that values consist of, any for "", and how many.
var kinds = [...]struct {
	bytes    string
	min, max int
	says     string
}{
	Text:     {"", 0, MaxLen, "any text"},
	Name:     {"", 1, MaxLen, "text"},
	Word:     {"", 0, MaxLen, `text without ":"`},
	Hex1:     {upperDigits, 1, 2, "one or two hexadecimal digits in upper case"},
	Hex2:     {upperDigits, 2, 2, "2 hexadecimal digits in upper case"},
	Hex4:     {upperDigits, 4, 4, "4 hexadecimal digits in upper case"},
	Hex6:     {upperDigits, 6, 8, "6 to 8 hexadecimal digits in upper case"},
	Hex8:     {upperDigits, 8, 8, "8 hexadecimal digits in upper case"},
	LowerHex: {lowerDigits, 1, 8, "1 to 8 hexadecimal digits in lower case"},
	Lower4:   {lowerDigits, 4, 4, "4 hexadecimal digits in lower case"},
	Lower32:  {lowerDigits, 32, 32, "32 hexadecimal digits in lower case"},
	Decimal:  {"-0123456789", 1, 11, "a decimal number"},
	Bits:     {"01", 32, 32, "32 binary digits"},
	Codes:    {upperDigits + ",+", 0, MaxLen, "hexadecimal numbers with commas"},
	UUID:     {lowerDigits + "-", 36, 36, "a UUID in lower case"},
	GUID:     {upperDigits + "-", 36, 36, "a UUID in upper case"},
}

// String says in words which values are of the kind.
func (k Kind) String() string { return kinds[k].says }

// has reports whether c can be in a value.
func (k Kind) has(c byte) bool {
	if k == Word {
		return c != ':'
	}
	return kinds[k].bytes == "" || strings.IndexByte(kinds[k].bytes, c) >= 0
}

// fits reports whether a value may have n bytes.
func (k Kind) fits(n int) bool { return kinds[k].min <= n && n <= kinds[k].max }

// greedy reports whether a value takes all the bytes that it can have.
func (k Kind) greedy() bool { return k != Text && k != Name }

// Forms goes through all forms. They are shared: nobody changes them.
func Forms() iter.Seq[*Form] {
	return func(yield func(*Form) bool) {
		for i := range forms {
			if !yield(&forms[i]) {
				return
			}
		}
	}
}

// FormOf returns the form that an alias of a module is written in, nil if the
// alias is not about devices: "crypto-aes", say, is what a program of the
// kernel asks for.
func FormOf(alias string) *Form {
	for f := range Forms() {
		if f.Fits(alias) {
			return f
		}
	}
	return nil
}
