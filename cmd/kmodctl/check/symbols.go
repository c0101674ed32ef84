package check

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
)

// A verdict is about one symbol that the module uses.
type verdict struct {
	errno syscall.Errno // 0 if it may be used
	says  string        // "" if there is nothing to say
	next  string
}

// allSymbols goes through what the module uses, in the kernel's order (simplify_symbols in
// kernel/module/main.c). Of those that it refuses the last one counts.
func (c *checking) allSymbols() Step {
	versions, err := c.file.Versions()
	if err != nil {
		return refused(unix.ENOEXEC, "build or install it again", "%v", err)
	}
	offers, whole := c.offers()
	step := Step{Result: OK}
	var unsure []string
	for _, need := range c.symbols.Needs {
		v := c.judge(need, offers[need.Name], versionOf(versions, need.Name), whole)
		switch {
		case v.errno != 0:
			step.Result, step.Errno, step.Next = Fails, v.errno, v.next
			step.Says = append(step.Says, v.says)
		case v.says != "":
			unsure = append(unsure, v.says)
		}
	}
	if says := c.twice(offers); says != "" && step.Result == OK {
		step = refused(unix.ENOEXEC, "take the other module out first", "%s", says)
	}
	if step.Result == OK && len(unsure) > 0 {
		step.Result = Unknown
	}
	step.Says = few(append(step.Says, unsure...))
	if len(step.Says) == 0 {
		step.Says = []string{c.sources(offers)}
	}
	return step
}

// few keeps a list to what somebody reads.
func few(list []string) []string {
	const most = 8
	if len(list) <= most {
		return list
	}
	return append(list[:most:most], fmt.Sprintf("and so on, %d in all", len(list)))
}

func versionOf(versions []kofile.Version, name string) *uint32 {
	i := slices.IndexFunc(versions, func(v kofile.Version) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	crc := uint32(versions[i].CRC)
	return &crc
}

// judge says whether the module gets a symbol (resolve_symbol in kernel/module/main.c).
func (c *checking) judge(need kofile.Need, o *offer, version *uint32, whole bool) verdict {
	name := need.Name
	switch {
	case o == nil && need.Weak, name == "_GLOBAL_OFFSET_TABLE_":
		return verdict{}
	case o == nil && !whole:
		return verdict{says: name + ": who exports it can't be told, since /proc/kallsyms does not say"}
	case o == nil:
		return verdict{unix.ENOENT, name + " is exported by nobody: not by this kernel, nor by a module that is in or installed",
			"build it with the headers of this kernel, or install what exports the symbol and run depmod"}
	case !o.in && c.Alone && !need.Weak:
		return verdict{unix.ENOENT, name + " is exported by " + o.by + ", which is not in", "load " + o.by + " first, or install the module and use modprobe"}
	}
	return c.judgeOffer(name, o, version)
}

func (c *checking) judgeOffer(name string, o *offer, version *uint32) verdict {
	var unsure string
	switch {
	case c.file.GPL():
	case o.gpl == nil:
		unsure = name + ": whether it is for GPL modules only can't be told; root can"
	case *o.gpl:
		return verdict{unix.ENOENT, fmt.Sprintf("%s is exported by %s for GPL modules only, and this one's licence is %q", name, o.module(), c.file.Field("license")),
			"use what is exported for all modules, or put it under a licence that goes with the GPL"}
	}
	versioned := c.Force&kernel.ForceVersions == 0 && version != nil
	switch {
	case !versioned:
	case o.crc == nil:
		unsure = name + ": its version can't be told here"
	case *o.crc != *version:
		return verdict{unix.EINVAL, fmt.Sprintf("%s of %s has the version 0x%08x, as %s says, and this module was built with 0x%08x", name, o.module(), *o.crc, o.from, *version),
			"build both from one source, with one kernel's headers"}
	}
	imported := slices.Collect(c.file.Fields("import_ns"))
	switch {
	case o.namespace == nil && unsure == "":
		unsure = name + ": whether it is in a namespace can't be told here"
	case o.namespace != nil && *o.namespace != "" && !slices.Contains(imported, *o.namespace):
		return verdict{unix.EINVAL, name + " of " + o.module() + " is in the namespace " + *o.namespace + ", which this module does not import",
			"add MODULE_IMPORT_NS(" + *o.namespace + ") to its source"}
	}
	return verdict{says: unsure}
}

// twice says what the module exports and somebody in the kernel does, too
// (verify_exported_symbols in kernel/module/main.c).
func (c *checking) twice(offers map[string]*offer) string {
	for _, e := range c.symbols.Exports {
		if o := offers[e.Name]; o != nil && o.in && o.by != c.module {
			return e.Name + " is exported by " + o.module() + ", too"
		}
	}
	return ""
}

// sources sums up where everything is from.
func (c *checking) sources(offers map[string]*offer) string {
	counts := make(map[string]int)
	var order []string
	for _, need := range c.symbols.Needs {
		if o := offers[need.Name]; o != nil {
			if counts[o.module()]++; counts[o.module()] == 1 {
				order = append(order, o.module())
			}
		}
	}
	if len(order) == 0 {
		return "it needs none"
	}
	slices.Sort(order)
	for i, module := range order {
		order[i] = fmt.Sprintf("%d of %s", counts[module], module)
	}
	return "all are there, and of the versions that it was built with: " + strings.Join(order, ", ")
}
