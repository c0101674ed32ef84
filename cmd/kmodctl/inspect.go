package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/cmd/kmodctl/words"
	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile"
	"github.com/kmodd/kmodd/match/kofile/signature"
	"github.com/kmodd/kmodd/match/kofile/signature/trust"
	"github.com/kmodd/kmodd/match/kofile/unpack"
	"github.com/kmodd/kmodd/modalias"
	"github.com/kmodd/kmodd/rules"
)

// A moduleInfo is what there is to say of a module, as JSON has it. What the kernel
// has now is there if the module is one of the running kernel's.
type moduleInfo struct {
	Name        string   `json:"name"`
	File        string   `json:"file,omitempty"` // none if it is built in
	Packing     string   `json:"packing,omitempty"`
	Description string   `json:"description,omitempty"`
	Authors     []string `json:"authors,omitempty"`
	Version     string   `json:"version,omitempty"`
	Licence     string   `json:"licence,omitempty"`
	GPL         bool     `json:"gpl_compatible"`
	Taints      []taint  `json:"taints,omitempty"` // the kernel's own if it is in, else what the file tells
	Arch        string   `json:"arch,omitempty"`
	VerMagic    string   `json:"vermagic,omitempty"`

	OnDisk   int64 `json:"disk_bytes,omitempty"`
	Unpacked int64 `json:"unpacked_bytes,omitempty"` // if it is packed
	Takes    int64 `json:"memory_bytes,omitempty"`   // about so much, as its file says
	InMemory int64 `json:"loaded_bytes,omitempty"`   // as the kernel says

	State      kernel.State `json:"state,omitempty"` // or "built in"
	References *int         `json:"references,omitempty"`
	Holders    []string     `json:"holders,omitempty"` // modules in the kernel that use it

	Depends  []string `json:"depends,omitempty"`   // what it needs itself
	Needs    []string `json:"needs,omitempty"`     // with what that needs, in loading order
	Softdeps []string `json:"softdeps,omitempty"`  // as modprobe.d would have them
	NeededBy []string `json:"needed_by,omitempty"` // installed modules, that may need it through another

	IDs     []idCount     `json:"ids,omitempty"`
	Aliases []string      `json:"aliases,omitempty"` // that are no device's
	Devices []foundDevice `json:"devices,omitempty"`

	Parameters []parameterInfo `json:"parameters,omitempty"`
	Firmware   []firmwareInfo  `json:"firmware,omitempty"`
	Exports    []exportInfo    `json:"exports,omitempty"`
	Imports    []string        `json:"imported_namespaces,omitempty"`
	Signature  *signatureInfo  `json:"signature,omitempty"`
}

// A taint is a letter of /proc/sys/kernel/tainted's, in words.
type taint struct {
	Letter string `json:"letter"`
	Says   string `json:"says"`
}

// An idCount is how many ids a module has for devices of a bus.
type idCount struct {
	Bus   string `json:"bus"`
	Says  string `json:"says"` // such as "a PCI device"
	Count int    `json:"count"`
}

// A foundDevice is one that is there and has one of the ids.
type foundDevice struct {
	Path     string `json:"path"`
	Modalias string `json:"modalias"`
	Driver   string `json:"driver,omitempty"`
	Says     string `json:"says,omitempty"`
}

type parameterInfo struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
	Says string `json:"says,omitempty"`
	// Value is what it is now, nil if that is not shown.
	Value *string `json:"value,omitempty"`
}

type firmwareInfo struct {
	Name      string `json:"name"`
	Installed bool   `json:"installed"`
}

type exportInfo struct {
	Name      string `json:"name"`
	CRC       string `json:"crc,omitempty"`
	GPL       bool   `json:"gpl_only"`
	Namespace string `json:"namespace,omitempty"`
}

type signatureInfo struct {
	Kind   string `json:"kind"`
	Signer string `json:"signer,omitempty"`
	KeyID  string `json:"key_id"`
	Hash   string `json:"hash"`
	// Good says whether it is, nil if nobody has asked, and Says why not.
	Good *bool  `json:"good,omitempty"`
	Says string `json:"says,omitempty"`
}

// file finds out about a module from its file.
func (q *inquiry) file(name, path string) (*moduleInfo, error) {
	image, err := unpack.OpenModule(path)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	m := &moduleInfo{Name: image.Name(name), File: path, Packing: image.Packing, OnDisk: image.OnDisk, Arch: image.Arch()}
	if image.Packing != "" {
		m.Unpacked = image.Size
	}
	if m.Takes, err = image.Memory(); err != nil {
		return nil, err
	}
	symbols, err := image.Symbols()
	if err != nil {
		return nil, err
	}
	for _, e := range symbols.Exports {
		m.Exports = append(m.Exports, exportInfo{e.Name, fmt.Sprintf("0x%08x", e.CRC), e.GPL, e.Namespace})
	}
	m.Signature = q.signature(image.Image)
	q.describe(m, image.Info)
	return m, nil
}

// builtin finds out about a module that is part of the kernel.
func (q *inquiry) builtin(name string) *moduleInfo {
	text, _ := os.ReadFile(filepath.Join(q.installed.Dir(), "modules.builtin.modinfo")) // older kernels have none
	m := &moduleInfo{Name: name}
	q.describe(m, kofile.BuiltinInfo(string(text), name))
	m.Taints = nil // the file does not say what is the kernel's own
	return m
}

// describe adds what a module says about itself, and what tables, firmware and kernel say.
func (q *inquiry) describe(m *moduleInfo, info kofile.Info) {
	m.Description = strings.Join(slices.Collect(info.Fields("description")), "; ")
	m.Authors = slices.Collect(info.Fields("author"))
	m.Version, m.Licence, m.GPL, m.VerMagic = info.Field("version"), info.Field("license"), info.GPL(), strings.TrimSpace(info.Field("vermagic"))
	m.Softdeps, m.Imports = slices.Collect(info.Fields("softdep")), slices.Collect(info.Fields("import_ns"))
	for need := range strings.SplitSeq(info.Field("depends"), ",") {
		if need != "" {
			m.Depends = append(m.Depends, modalias.ModuleName(need))
		}
	}
	q.dependencies(m)
	q.live(m, info)
	q.parameters(m, info)
	q.firmware(m, info)
	q.aliases(m, slices.Collect(info.Fields("alias")))
}

// dependencies adds what the tables know.
func (q *inquiry) dependencies(m *moduleInfo) {
	if q.installed == nil {
		return
	}
	for _, other := range q.installed.Installed() {
		switch {
		case other.Name == m.Name:
			m.Needs = other.Needs
		case slices.Contains(other.Needs, m.Name):
			m.NeededBy = append(m.NeededBy, other.Name)
		}
	}
}

// builtIn is the state of what is part of the kernel.
const builtIn kernel.State = "built in"

// isOfRunning says whether a module is for the running kernel: what is in that by the
// same name may be something else otherwise.
func (q *inquiry) isOfRunning(m *moduleInfo) bool {
	release, _, _ := strings.Cut(m.VerMagic, " ")
	if m.File == "" {
		release = filepath.Base(q.installed.Dir())
	}
	return release == q.release
}

// live adds what the kernel has of it now.
func (q *inquiry) live(m *moduleInfo, info kofile.Info) {
	letters := info.Taints()
	switch {
	case m.File == "":
		m.State = builtIn
	case q.isOfRunning(m):
		m.State = q.kernel.State(m.Name)
	}
	if m.State == kernel.Live {
		m.InMemory = q.kernel.Size(m.Name)
		references, holders := q.kernel.Uses(m.Name)
		if m.Holders = holders; references >= 0 {
			m.References = &references
		}
		letters = q.kernel.Taints(m.Name)
	}
	for _, letter := range letters {
		m.Taints = append(m.Taints, taint{string(letter), taints[letter]})
	}
}

// taints are the letters of tainted kernels that are about one module, in words.
var taints = map[rune]string{
	'P': "its licence is proprietary",
	'F': "it was put in by force",
	'C': "it is from the kernel's staging area",
	'O': "it was not built with the kernel",
	'E': "it is not signed, or not by anybody whom the kernel trusts",
	'K': "it is a live patch",
	'N': "it is a test of the kernel's",
}

// parameters adds them, with their values if the module is in.
func (q *inquiry) parameters(m *moduleInfo, info kofile.Info) {
	in := m.State == kernel.Live || m.State == builtIn && q.isOfRunning(m)
	for _, p := range info.Parameters() {
		one := parameterInfo{Name: p.Name, Type: p.Type, Says: p.Description}
		if in {
			if value, shown := q.kernel.Parameter(m.Name, p.Name); shown {
				one.Value = &value
			}
		}
		m.Parameters = append(m.Parameters, one)
	}
}

// firmware adds what the module may ask for.
func (q *inquiry) firmware(m *moduleInfo, info kofile.Info) {
	dirs := q.kernel.FirmwareDirs()
	for name := range info.Fields("firmware") {
		there := false
		for file := range kernel.FirmwareFiles(dirs, name) {
			there = there || filepath.IsLocal(name) && exists(file)
		}
		m.Firmware = append(m.Firmware, firmwareInfo{name, there})
	}
}

// aliases counts ids by bus, and finds the devices that have one.
func (q *inquiry) aliases(m *moduleInfo, aliases []string) {
	counts := make(map[string]int)
	var patterns []string
	for _, alias := range aliases {
		form := modalias.FormOf(alias)
		if form == nil {
			m.Aliases = append(m.Aliases, alias)
			continue
		}
		counts[form.Bus]++
		if pattern, err := modalias.Normalize(alias); err == nil {
			patterns = append(patterns, pattern)
		}
	}
	for bus, count := range counts {
		m.IDs = append(m.IDs, idCount{bus, words.Kind(bus), count})
	}
	slices.SortFunc(m.IDs, func(a, b idCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Bus, b.Bus))
	})
	for _, d := range q.devices {
		if q.isOfRunning(m) && matches(patterns, d) {
			m.Devices = append(m.Devices, foundDevice{d.Path, d.Modalias, d.Driver, q.inWords(d.Modalias)})
		}
	}
}

func matches(patterns []string, d rules.Device) bool {
	name, err := modalias.Normalize(d.Modalias)
	return err == nil && d.Modalias != "" && slices.ContainsFunc(patterns, func(p string) bool { return modalias.Match(p, name) })
}

// inWords says what a device is, "" if it has no form.
func (q *inquiry) inWords(alias string) string {
	d, err := words.Of(alias, q.names)
	if err != nil {
		return ""
	}
	return headline(d)
}

// signature says who has signed a file, nil for nobody.
func (q *inquiry) signature(image *unpack.Image) *signatureInfo {
	s, err := signature.Read(image, image.Size)
	switch {
	case err != nil:
		return &signatureInfo{Says: err.Error()}
	case s == nil:
		return nil
	}
	info := &signatureInfo{Kind: s.Kind.String(), Signer: s.Signer, KeyID: hex.EncodeToString(s.KeyID), Hash: s.Hash}
	if len(q.certificates) > 0 {
		_, err := trust.Verify(s, image, q.certificates)
		good := err == nil
		if info.Good = &good; err != nil {
			info.Says = err.Error()
		}
	}
	return info
}
