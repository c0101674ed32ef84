package modinfo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/signature"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// A field is one that is shown.
type field struct{ key, value string }

// show shows what a module's file says, or the kernel of a module that is built
// in and has none, and says whether that could be read.
func (c *command) show(name, path string) bool {
	builtin := path == ""
	if builtin {
		path = "(builtin)"
	}
	switch {
	case c.field == "filename":
		c.value(path)
		return true
	case c.field == "name" && builtin:
		c.value(name)
	case c.every && builtin:
		c.headed("name", name)
		fallthrough
	case c.every:
		c.headed("filename", path)
	}
	if builtin {
		text, _ := os.ReadFile(filepath.Join(c.dir, "modules.builtin.modinfo")) // not every kernel has one
		c.showInfo(kofile.BuiltinInfo(string(text), name), nil)
		return true
	}
	info, signed, err := read(path)
	if err != nil {
		c.unread(name, path, err)
		return false
	}
	c.showInfo(info, signed)
	return true
}

// read reads a file. A signature that can't be read is none, as for kmod.
func read(path string) (kofile.Info, *signature.Signature, error) {
	m, err := unpack.OpenModule(path)
	if err != nil {
		return "", nil, err
	}
	defer m.Close()
	signed, err := signature.Read(m, m.Size)
	if err != nil {
		signed = nil
	}
	return m.Info, signed, nil
}

// showInfo shows the field that was asked for, or all.
func (c *command) showInfo(info kofile.Info, signed *signature.Signature) {
	if c.field == "parm" || c.every {
		c.complain(info)
	}
	if c.field == "parm" {
		for _, p := range slices.Backward(info.Parameters()) {
			c.value(parameter(p, ": ("+p.Type+")"))
		}
		return
	}
	var fields []field
	for key, value := range info.All() {
		fields = append(fields, field{key, value})
	}
	for _, f := range append(fields, signatureFields(signed)...) {
		c.showField(f)
	}
	if c.every {
		for _, p := range slices.Backward(info.Parameters()) {
			c.headed("parm", parameter(p, ":"+p.Type))
		}
	}
}

func aboutParameter(key string) bool { return key == "parm" || key == "parmtype" }

// complain tells of what should be about a parameter, and names none.
func (c *command) complain(info kofile.Info) {
	for key, value := range info.All() {
		if aboutParameter(key) && !strings.Contains(value, ":") {
			c.fail("Found invalid \"%s=%s\": missing ':'", key, value)
		}
	}
}

// keyWidth is how long a key may be before the columns give way. Kmod has as many
// blanks after a longer one as it is too long.
const keyWidth = 15

func (c *command) showField(f field) {
	switch {
	case !c.every:
		if f.key == c.field {
			c.value(f.value)
		}
	case aboutParameter(f.key):
	case c.end == 0:
		c.value(f.key + "=" + f.value)
	default:
		c.headed(f.key, f.value)
	}
}

func (c *command) headed(key, value string) {
	c.value(key + ":" + strings.Repeat(" ", max(keyWidth-len(key), len(key)-keyWidth)) + value)
}

func (c *command) value(value string) {
	c.stdout.WriteString(value)
	c.stdout.WriteByte(c.end)
}

// parameter is a parameter in one line. What comes after the name of one that is not
// described differs: kmod has two forms.
func parameter(p kofile.Parameter, undescribed string) string {
	switch {
	case !p.Described:
		return p.Name + undescribed
	case p.Type == "":
		return p.Name + ":" + p.Description
	}
	return p.Name + ":" + p.Description + " (" + p.Type + ")"
}

// known are the hash functions that kmod has names for. It knows no signer by the
// identifier of its key in a PKCS#7, and takes signatures that it does not know
// for none.
var known = []string{"md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3"}

func signatureFields(s *signature.Signature) []field {
	if s == nil || !slices.Contains(known, s.Hash) || s.Kind == signature.PKCS7 && s.ByKey {
		return nil
	}
	return []field{
		{"sig_id", s.Kind.String()},
		{"signer", s.Signer},
		{"sig_key", hexadecimal(s.KeyID)},
		{"sig_hashalgo", s.Hash},
		{"signature", hexadecimal(s.Bytes)},
	}
}

// perLine is how many bytes of a signature are in a line.
const perLine = 20

// hexadecimal is bytes with colons between them, in lines.
func hexadecimal(b []byte) string {
	const digits = "0123456789ABCDEF"
	var text strings.Builder
	for i, c := range b {
		text.WriteByte(digits[c>>4])
		text.WriteByte(digits[c&0xf])
		switch {
		case i == len(b)-1:
		case i%perLine == perLine-1:
			text.WriteString(":\n\t\t")
		default:
			text.WriteByte(':')
		}
	}
	return text.String()
}
