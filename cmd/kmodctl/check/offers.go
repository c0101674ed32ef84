package check

import (
	"bufio"
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/unpack"
	"github.com/kmodd/kmodd/modalias"
)

// An offer is a symbol that somebody exports.
type offer struct {
	by        string // the module, "" for the kernel
	in        bool   // the module is in
	crc       *uint32
	from      string // who knows the version
	gpl       *bool
	namespace *string
}

// module is who exports it, for people.
func (o *offer) module() string { return cmp.Or(o.by, "the kernel") }

// wanted are the names that matter: what the module uses, and what it exports itself.
func (c *checking) wanted() map[string]bool {
	names := map[string]bool{layout: true}
	for _, n := range c.symbols.Needs {
		names[n.Name] = true
	}
	for _, e := range c.symbols.Exports {
		names[e.Name] = true
	}
	return names
}

// offers finds out who exports what is wanted. Whole says that nobody in the kernel
// exports what is not among them.
func (c *checking) offers() (offers map[string]*offer, whole bool) {
	offers, whole = c.listed()
	for name := range c.wanted() {
		o := offers[name]
		switch {
		case o == nil:
			if o = c.offered(name); o != nil {
				offers[name] = o
			}
		case o.by != "":
			c.describe(o, name)
		}
	}
	for name, k := range c.kernelCRCs() {
		if o := offers[name]; o != nil && o.by == "" {
			o.crc, o.from = &k.crc, k.by
			if k.free && o.namespace == nil {
				o.namespace = new(string)
			}
		}
	}
	return offers, whole
}

// listed are the offers that the kernel itself shows, or its headers do.
func (c *checking) listed() (offers map[string]*offer, whole bool) {
	if c.kernels == nil {
		wanted := c.wanted()
		c.kernels, c.whole = readKallsyms(c.proc("kallsyms"), wanted)
		c.addSymvers(c.kernels, wanted)
		for _, o := range c.kernels {
			o.in = true
		}
	}
	return maps.Clone(c.kernels), c.whole
}

// The kernel's symbols about a symbol's export (include/linux/export.h).
const (
	ofTable  = "__ksymtab_"
	startGPL = "__start___ksymtab_gpl"
	stopGPL  = "__stop___ksymtab_gpl"
)

// readKallsyms finds the entries __ksymtab_NAME of /proc/kallsyms. Addresses are those of
// the kernel for root only; they tell what is for GPL modules only.
func readKallsyms(path string, wanted map[string]bool) (offers map[string]*offer, whole bool) {
	offers = make(map[string]*offer)
	f, err := os.Open(path)
	if err != nil {
		return offers, false
	}
	defer f.Close()
	at := make(map[string]uint64)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text := lines.Text()
		i := strings.Index(text, " __")
		if i < 0 {
			continue
		}
		symbol, module, _ := strings.Cut(text[i+1:], "\t")
		name, isTable := strings.CutPrefix(symbol, ofTable)
		whole = whole || isTable && module == ""
		switch {
		case symbol == startGPL, symbol == stopGPL, isTable && wanted[name]:
			at[symbol], _ = strconv.ParseUint(strings.Fields(text)[0], 16, 64)
		}
		if isTable && wanted[name] {
			offers[name] = &offer{by: strings.Trim(module, "[]")}
		}
	}
	for name, o := range offers {
		if o.by == "" && at[startGPL] != 0 && at[stopGPL] != 0 {
			gpl := at[ofTable+name] >= at[startGPL] && at[ofTable+name] < at[stopGPL]
			o.gpl = &gpl
		}
	}
	return offers, whole && lines.Err() == nil
}

// addSymvers adds what Module.symvers of the running kernel's headers says of its own symbols.
func (c *checking) addSymvers(offers map[string]*offer, wanted map[string]bool) {
	for _, row := range c.symvers() {
		name := row[1]
		if !wanted[name] || offers[name] != nil && offers[name].by != "" {
			continue
		}
		if offers[name] == nil {
			offers[name] = new(offer)
		}
		gpl := row[3] == "EXPORT_SYMBOL_GPL"
		offers[name].gpl, offers[name].namespace = &gpl, &row[4]
	}
}

// symvers are the rows of that file about the kernel: version, name, vmlinux, kind and namespace.
func (c *checking) symvers() (rows [][]string) {
	text, err := os.ReadFile(filepath.Join(c.lib("modules"), c.Release, "build/Module.symvers"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		row := append(strings.Split(strings.TrimRight(line, "\n"), "\t"), "")
		if len(row) >= 5 && row[2] == "vmlinux" {
			rows = append(rows, row)
		}
	}
	return rows
}

func (c *checking) lib(name string) string {
	return filepath.Join(cmp.Or(c.Kernel.Lib, "/lib"), name)
}

// offered finds the module that exports a symbol and that the kernel does not name.
func (c *checking) offered(name string) *offer {
	var candidates []string
	if c.Tables != nil {
		for _, hit := range c.Tables.Symbols(nil, "symbol:"+name) {
			candidates = append(candidates, hit.Module)
		}
	}
	for _, module := range append(candidates, c.depends()...) {
		o := &offer{by: module, in: c.Kernel.State(module) == kernel.Live}
		if module != c.module && c.describe(o, name) {
			return o
		}
	}
	return nil
}

// depends are the modules that the file says it needs, as modpost has found out.
func (c *checking) depends() (names []string) {
	for name := range strings.SplitSeq(c.file.Field("depends"), ",") {
		if name != "" {
			names = append(names, modalias.ModuleName(name))
		}
	}
	return names
}

// describe adds what the file of the module that exports a symbol says of it. It reports false
// if that does not export it.
func (c *checking) describe(o *offer, name string) bool {
	exports := c.exportsOf(o.by)
	i := slices.IndexFunc(exports, func(e kofile.Export) bool { return e.Name == name })
	if i < 0 {
		return false
	}
	e := exports[i]
	crc := uint32(e.CRC)
	o.gpl, o.namespace = &e.GPL, &e.Namespace
	if crc != 0 {
		o.crc, o.from = &crc, "its file"
	}
	return true
}

func (c *checking) exportsOf(module string) []kofile.Export {
	if exports, known := c.exported[module]; known {
		return exports
	}
	if c.exported == nil {
		c.exported = make(map[string][]kofile.Export)
	}
	var symbols kofile.Symbols
	if m, err := unpack.OpenModule(c.fileOf(module)); err == nil {
		symbols, _ = m.Symbols()
		m.Close()
	}
	c.exported[module] = symbols.Exports
	return symbols.Exports
}

// fileOf is where a module's file is: installed, or beside this one, which is looked at
// first for who loads files by their path. It is "" if there is none.
func (c *checking) fileOf(module string) string {
	beside := filepath.Join(filepath.Dir(c.File), module+".ko")
	_, err := os.Stat(beside)
	if err == nil && c.Alone {
		return beside
	}
	if c.Tables != nil {
		if m, ok := c.Tables.Module(module); ok {
			return m.File
		}
	}
	if err == nil {
		return beside
	}
	return ""
}

// A known is the version of a symbol of the running kernel's.
type known struct {
	crc uint32
	by  string
	// free says that somebody uses it who imports no more namespaces than this module.
	free bool
}

// kernelCRCs are the versions of what the module may want of the kernel: from Module.symvers, or
// as modules of its own have them.
func (c *checking) kernelCRCs() map[string]known {
	if c.crcs != nil {
		return c.crcs
	}
	c.crcs = make(map[string]known)
	missing := map[string]bool{layout: true}
	listed, whole := c.listed()
	for _, need := range c.symbols.Needs {
		o := listed[need.Name]
		missing[need.Name] = o != nil && o.by == "" || o == nil && !whole
	}
	maps.DeleteFunc(missing, func(_ string, is bool) bool { return !is })
	for _, row := range c.symvers() {
		if crc, err := strconv.ParseUint(row[0], 0, 32); err == nil && missing[row[1]] {
			c.crcs[row[1]] = known{crc: uint32(crc), by: "Module.symvers of its headers"}
			delete(missing, row[1])
		}
	}
	imports := slices.Collect(c.file.Fields("import_ns"))
	c.witnesses(func(name string, m *unpack.Module) bool {
		versions, _ := m.Versions()
		free := !slices.ContainsFunc(slices.Collect(m.Fields("import_ns")), func(ns string) bool { return !slices.Contains(imports, ns) })
		for _, v := range versions {
			if !missing[v.Name] {
				continue
			}
			k, heard := c.crcs[v.Name]
			if !heard {
				k = known{crc: uint32(v.CRC), by: c.standing(name)}
			}
			if k.free = free; free {
				delete(missing, v.Name)
			}
			c.crcs[v.Name] = k
		}
		return len(missing) > 0
	})
	return c.crcs
}
