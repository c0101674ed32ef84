package kernel

import (
	"errors"
	"io"
	"strings"

	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/param"
)

// What follows explains refusals by looking into the module's file. The file
// may be anybody's: what is quoted from it is bounded and printable.

// readFile takes a module's file apart. If that can't be done, fault says why.
func readFile(image *io.SectionReader) (file *kofile.File, fault string) {
	file, err := kofile.New(image, image.Size())
	switch {
	case err == nil:
		return file, ""
	case kofile.Packing(image) != "":
		return nil, "what its compressed file holds is not a module for this kernel, or is cut short"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, "the file is " + err.Error()
	}
	return nil, "the file is damaged, or no module: " + err.Error()
}

// formatWords explains ENOEXEC.
func (s System) formatWords(m Module, image *io.SectionReader) string {
	file, fault := readFile(image)
	if fault != "" {
		return fault + ": reinstall it"
	}
	if arch := s.Arch(); file.Arch() != arch && arch != "" {
		return "it is built for " + file.Arch() + " and this machine is " + arch + ": install the module for " + arch
	}
	release := firstLine(s.proc("sys/kernel/osrelease"))
	built := shown(file.Field("vermagic"))
	if said := s.lastSaid(m.Name + ": version magic '"); said != "" {
		if _, wanted, ok := strings.Cut(strings.TrimSuffix(said, "'"), "' should be '"); ok {
			return magicWords(built, strings.TrimSpace(wanted), release)
		}
	}
	running := release + " " + firstLine(s.proc("sys/kernel/version"))
	if built == "" {
		return "it does not say which kernel it is built for; this one is " + running + ": look in dmesg, and reinstall it"
	}
	return "it is built for \"" + built + "\" and this kernel is \"" + running +
		"\": install the modules of " + release + ", or look in dmesg for what differs"
}

// magicWords shows two version magics, and the words that only one of them has.
func magicWords(built, running, release string) string {
	return "its version magic is \"" + built + "\" and this kernel's is \"" + running + "\" (" + MagicDifference(built, running) +
		"): install the modules of " + release + ", or build it for them"
}

// MagicDifference names the words that only one of two version magics has, "" if there are
// none. The first word of each is the kernel's release, which is not compared where
// both have symbol versions (same_magic in kernel/module/version.c).
func MagicDifference(built, running string) string {
	has, wants := lacking(built, running), lacking(running, built)
	switch {
	case has != "" && wants != "":
		return "it has " + has + " where this kernel has " + wants
	case has != "":
		return "it has " + has + ", which this kernel has not"
	case wants != "":
		return "it lacks " + wants
	}
	return ""
}

// lacking lists the words of a that b has not.
func lacking(a, b string) string {
	var words []string
	for word := range strings.FieldsSeq(a) {
		if !strings.Contains(" "+b+" ", " "+word+" ") {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// symbolWords explains ENOENT, which says that a symbol is not there.
func (s System) symbolWords(m Module) string {
	symbol, _, _ := strings.Cut(s.lastSaid(m.Name+": Unknown symbol "), " ")
	if symbol == "" {
		return "it needs a symbol that no loaded module has, so the tables are out of date or a dependency is of another build: " +
			"run depmod, then look in dmesg for the symbol"
	}
	return "it needs the symbol " + symbol + ", which neither the kernel nor a loaded module has, so the tables are out of date " +
		"or a dependency is of another build: run depmod, and install both from one build"
}

// parameterWords explains EINVAL.
func parameterWords(m Module, image *io.SectionReader) string {
	if words := refusedParameter(m, image); words != "" {
		return words
	}
	options := ""
	if m.Options != "" {
		options = " (options \"" + m.Options + "\")"
	}
	return "the kernel refused the value of a parameter" + options +
		", a symbol's version (CRC) differs, or its init refused: look in dmesg for which, and correct the options or reinstall the module"
}

// refusedParameter explains what the kernel answers to a parameter's value, "" if it has
// nothing against any.
func refusedParameter(m Module, image *io.SectionReader) string {
	file, fault := readFile(image)
	if fault != "" {
		return ""
	}
	refused := param.Refused(param.Check(file, m.Options))
	if refused == nil {
		return ""
	}
	return "its " + refused.Error() + ": correct it in modprobe.d, or on the kernel command line (" + m.Name + "." + printable(refused.Name) + "=)"
}

// signatureWords explains EKEYREJECTED.
func (s System) signatureWords(image *io.SectionReader) string {
	file, fault := readFile(image)
	enforced := firstLine(s.sys("module/module/parameters/sig_enforce"))
	switch {
	case fault != "":
		return fault + ": reinstall it"
	case !file.Signed:
		return "it is not signed, and this kernel takes only what is signed by a key that it trusts (module.sig_enforce): " +
			"sign it with such a key, or boot without module.sig_enforce=1"
	case enforced == "N": // a key that is not trusted would do
		return "its signature does not fit its content, so the file is damaged: reinstall it"
	}
	return "its signature does not fit its content, or is by a key that this kernel does not trust: " +
		"reinstall it, or sign it with a key that the kernel trusts"
}

// shown keeps a foreign text to a line that can be shown.
func shown(text string) string {
	const longest = 200
	return printable(text[:min(len(text), longest)])
}
