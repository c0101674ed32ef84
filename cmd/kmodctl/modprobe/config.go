package modprobe

import (
	"bufio"
	"errors"
)

// showConfig prints the configuration, and the aliases of the modules behind it.
func (c *command) showConfig() bool {
	out := bufio.NewWriterSize(c.stdout, 64<<10)
	err := errors.Join(c.set.Dump(out), out.Flush())
	if err != nil {
		c.say(fatal, "FATAL", "print the configuration: %v", err)
	}
	return err == nil
}
