package modprobe

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/kmodd/kmodd/match/index"
)

// showConfig prints the configuration, and the aliases of the modules behind it.
func (c *command) showConfig() bool {
	out := bufio.NewWriterSize(c.stdout, 64<<10)
	err := c.config.Dump(out)
	io.WriteString(out, "\n# End of configuration files. Dumping indexes now:\n\n")
	for _, table := range []string{"modules.alias.bin", "modules.symbols.bin"} {
		if missing := dumpIndex(out, filepath.Join(c.dir, table)); missing != nil {
			c.hint("%v", missing)
		}
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		c.say(fatal, "FATAL", "print the configuration: %v", err)
	}
	return err == nil
}

// dumpIndex prints what is in an index, as lines of modules.alias.
func dumpIndex(out *bufio.Writer, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	x, err := index.New(data)
	if err != nil {
		return err
	}
	return x.Each(func(key []byte, v index.Value) {
		out.WriteString("alias ")
		out.Write(key)
		out.WriteByte(' ')
		out.Write(v.Text)
		out.WriteByte('\n')
	})
}
