package insert

import (
	"fmt"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile/param"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// A Refusal is what the kernel would refuse a module's parameters with. Its chain has
// that errno.
type Refusal struct {
	Module string
	Faults []param.Fault
}

var _ error = (*Refusal)(nil)

// Error is one line, about the parameter that the kernel's answer would be about.
func (r *Refusal) Error() string {
	return fmt.Sprintf("load %s: its %v; -f has the kernel decide", r.Module, param.Refused(r.Faults))
}

// Unwrap is the fault.
func (r *Refusal) Unwrap() error { return param.Refused(r.Faults) }

// Checked is File, unless the kernel would refuse a parameter. Then it is not asked, and
// the error is a [*Refusal]. Warn hears of parameters that the kernel ignores.
// Nothing is checked if the load is to be forced. A file that can't be read is the kernel's.
func Checked(k kernel.System, m kernel.Module, warn func(about string)) error {
	all := faults(m)
	for _, fault := range all {
		if fault.Errno == 0 {
			warn(ignored(m.Name, fault))
		}
	}
	if param.Refused(all) != nil {
		return &Refusal{m.Name, all}
	}
	return File(k, m)
}

func faults(m kernel.Module) []param.Fault {
	if m.Options == "" || m.Force != 0 {
		return nil
	}
	image, err := unpack.OpenModule(m.File)
	if err != nil {
		return nil
	}
	defer image.Close()
	return param.Check(image.File, m.Options)
}

func ignored(module string, fault param.Fault) string {
	about := module + ": " + fault.Error()
	if fault.Near != "" {
		about += "; did you mean " + fault.Near + "?"
	}
	return about
}
