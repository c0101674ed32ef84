package check

import (
	"errors"
	"path/filepath"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile/unpack"
	"github.com/kmodd/kmodd/modalias"
)

// A checking is one run.
type checking struct {
	*System
	Load
	module string         // its name
	image  *unpack.Module // nil if the file can't be read
	fault  error          // why
}

func begin(s *System, l Load) *checking {
	c := &checking{System: s, Load: l, module: modalias.ModuleName(filepath.Base(l.File))}
	c.image, c.fault = unpack.OpenModule(l.File)
	return c
}

func (c *checking) end() {
	if c.image != nil {
		c.image.Close()
	}
}

func (c *checking) report() Report {
	return Report{Module: c.module, File: c.File, Parameters: c.Parameters, Steps: []Step{c.permission()}}
}

// permission asks the kernel itself.
func (c *checking) permission() Step {
	var no *kernel.CheckError
	if errors.As(c.Kernel.Check(), &no) {
		return Step{Name: Permission, Result: Fails, Says: []string{no.Found}, Next: no.Cure}
	}
	return Step{Name: Permission, Result: OK, Says: []string{"this process may load modules"}}
}
