package modprobe

import (
	"bufio"
	"errors"

	"github.com/kmodd/kmodd/cmd/kmodctl/kmodlog"
)

// showConfig prints the configuration, and the aliases of the modules behind it.
func (c *command) showConfig() bool {
	out := bufio.NewWriterSize(c.stdout, 64<<10)
	err := errors.Join(c.set.Dump(out), out.Flush())
	if err != nil {
		c.Say(kmodlog.Fatal, "print the configuration: %v", err)
	}
	return err == nil
}
