package check

import (
	"strings"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// maxWitnesses is how many files are read at most. The first ones have what nearly all
// modules use.
const maxWitnesses = 400

// witnesses goes through the kernel's own modules that are installed for the running kernel,
// those first that are in: the kernel has accepted these.
func (c *checking) witnesses(yield func(name string, m *unpack.Module) bool) {
	if c.Tables == nil {
		return
	}
	asked := make(map[string]bool)
	ask := func(name, file string) (goOn bool) {
		if asked[name] || name == c.module || len(asked) == maxWitnesses {
			return len(asked) < maxWitnesses
		}
		asked[name] = true
		m, err := unpack.OpenModule(file)
		if err != nil {
			return true
		}
		defer m.Close()
		release, _, _ := strings.Cut(m.Field("vermagic"), " ")
		return release != c.Release || m.Field("intree") == "" || yield(name, m)
	}
	live, _ := c.Kernel.Loaded()
	for _, l := range live {
		forced := strings.Contains(c.Kernel.Taints(l.Name), "F")
		if m, ok := c.Tables.Module(l.Name); ok && !forced && !ask(m.Name, m.File) {
			return
		}
	}
	for _, m := range c.Tables.Installed() {
		if !ask(m.Name, m.File) {
			return
		}
	}
}

// standing says what a witness is to the kernel.
func (c *checking) standing(name string) string {
	if c.Kernel.State(name) == kernel.Live {
		return name + ", which is in,"
	}
	return name + ", which is installed for it,"
}
