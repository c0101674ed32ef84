package check

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/unpack"
)

// layout stands for what a kernel thinks a module is (module_layout in
// kernel/module/version.c). Its version is the first that is compared.
const layout = "module_layout"

// magic is about what the module is built for (check_modstruct_version, check_modinfo in
// kernel/module/main.c).
func (c *checking) magic() Step {
	built := strings.TrimSpace(c.file.Field("vermagic"))
	versions, err := c.file.Versions()
	switch {
	case c.Force&kernel.ForceMagic != 0:
		return fine("not compared, by force, if the kernel was built to allow that")
	case err != nil:
		return refused(unix.ENOEXEC, "build or install it again", "%v", err)
	case built == "":
		return refused(unix.ENOEXEC, "build it again", "it does not say what it is built for")
	}
	running, by := c.runningMagic()
	next := "build it with the headers of " + c.Release + ", or install the modules of that kernel"
	if running == "" {
		return c.releaseOnly(built, len(versions) > 0, next)
	}
	if sameMagic(built, running, len(versions) > 0) {
		s := fine("%q, as this kernel's", built)
		return c.sameLayout(s, versions)
	}
	return refused(unix.ENOEXEC, next, "it is built for %q, and this kernel is %q, as %s says: %s",
		built, running, c.standing(by), kernel.MagicDifference(built, running))
}

// releaseOnly is for where nothing tells what follows the release.
func (c *checking) releaseOnly(built string, versioned bool, next string) Step {
	release, _, _ := strings.Cut(built, " ")
	if release != c.Release && !versioned {
		return refused(unix.ENOEXEC, next, "it is built for %q, and this kernel is %s", built, c.Release)
	}
	return unknown("it is built for %q, and this kernel is %s; what else it is can't be told, since no modules of its own are installed", built, c.Release)
}

// runningMagic is what a module of the running kernel's own says.
func (c *checking) runningMagic() (magic, by string) {
	c.witnesses(func(name string, m *unpack.Module) bool {
		magic, by = strings.TrimSpace(m.Field("vermagic")), name
		return false
	})
	return magic, by
}

// sameMagic does not compare the releases where the module has versions of symbols
// (same_magic in kernel/module/version.c).
func sameMagic(built, running string, versioned bool) bool {
	if versioned {
		_, built, _ = strings.Cut(built, " ")
		_, running, _ = strings.Cut(running, " ")
	}
	return built == running
}

// sameLayout adds to a step what the versions say, of kernels that differ in more than words.
func (c *checking) sameLayout(s Step, versions []kofile.Version) Step {
	for _, v := range versions {
		if v.Name != layout || c.Force&kernel.ForceVersions != 0 {
			continue
		}
		k, ok := c.kernelCRCs()[layout]
		switch {
		case !ok:
			s.Result = Unknown
			s.Says = append(s.Says, "whether it is of the same build can't be told: the version of module_layout is not known")
		case k.crc != uint32(v.CRC):
			s = refused(unix.ENOEXEC, "build it with the headers of the running kernel", "it is of another build: its version of module_layout is 0x%08x, and this kernel's is 0x%08x, as %s says", v.CRC, k.crc, k.by)
		default:
			s.Says = append(s.Says, fmt.Sprintf("the version of module_layout is the same, too (0x%08x)", v.CRC))
		}
	}
	return s
}
