package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
	"github.com/kmodd/kmodd/match"
	"github.com/kmodd/kmodd/rules"
	"github.com/kmodd/kmodd/rules/modprobed"
	"github.com/kmodd/kmodd/rules/policy"
)

// A board is random hardware with random modules for it.
type board struct {
	modules  []fake.Module
	devices  []fake.Device
	softdeps []string            // lines of modprobe.d
	wanted   []string            // modules that modules-load.d names
	commands map[string]string   // install lines, by module
	requests map[string]bool     // modules that may have others loaded
	prefers  map[string][]string // modules that a rule may prefer, by the modalias of devices
	slots    int
	few      int  // of them, while the processors have no time
	blind    bool // the kernel does not say how much they have
}

// An operator is what somebody says on a board, and may say otherwise later.
type operator struct {
	blacklist []string // modules
	denied    []string // modaliases of devices
	preferred []string // those for which the board's preferences hold
	sleeping  []string // modules that may sleep
}

// idleTime is for how long nobody uses a driver that may sleep.
const idleTime = 10 * time.Second

// bindTimeout is how long a preferred driver has to take a device.
const bindTimeout = 2 * time.Second

// newBoard rolls the dice for a board. Faults are frequent: a board where
// everything works teaches little.
func newBoard(rng *rand.Rand) *board {
	b := &board{slots: 1 + rng.IntN(4)}
	b.few, b.blind = rng.IntN(b.slots+1), rng.IntN(4) == 0
	for i := range 3 + rng.IntN(6) {
		path := fmt.Sprintf("/devices/bus/d%02d", i)
		d := fake.Device{Path: path, Modalias: fmt.Sprintf("t:v%dd%d", rng.IntN(3), rng.IntN(3))}
		d.Bare = rng.IntN(3) == 0
		if rng.IntN(4) == 0 {
			d.Children = []fake.Device{{Path: path + "/child", Modalias: fmt.Sprintf("t:v%dd%d", rng.IntN(3), rng.IntN(3))}}
		}
		b.devices = append(b.devices, d)
	}
	for i := range 3 + rng.IntN(8) {
		b.modules = append(b.modules, b.newModule(rng, i))
	}
	for _, m := range b.modules {
		if rng.IntN(6) == 0 {
			other := b.modules[rng.IntN(len(b.modules))].Name
			kind := []string{"pre", "post"}[rng.IntN(2)]
			b.softdeps = append(b.softdeps, fmt.Sprintf("softdep %s %s: %s", m.Name, kind, other))
		}
	}
	b.requests = make(map[string]bool)
	for _, m := range b.modules {
		b.requests[m.Name] = rng.IntN(4) == 0
	}
	b.commands = make(map[string]string)
	for _, m := range b.modules {
		if rng.IntN(8) == 0 {
			b.commands[m.Name] = strings.ReplaceAll(installs[rng.IntN(len(installs))], "NAME", m.Name)
		}
	}
	b.prefers = make(map[string][]string)
	for _, d := range b.devices {
		for range 1 + rng.IntN(3) {
			if m := b.modules[rng.IntN(len(b.modules))]; rng.IntN(3) == 0 || slices.Contains(m.Drives, d.Modalias) {
				b.prefers[d.Modalias] = append(b.prefers[d.Modalias], m.Name)
			}
		}
	}
	for range max(0, rng.IntN(5)-2) {
		b.wanted = append(b.wanted, b.modules[rng.IntN(len(b.modules))].Name)
	}
	return b
}

// installs are the install commands that boards have.
var installs = []string{cmdTrue, cmdFalse, cmdFails, cmdLoads + "NAME", cmdLoads + "NAME", cmdLoads + "NAME" + cmdThenFails, cmdHangs}

const (
	cmdTrue      = "/bin/true"
	cmdFalse     = "/bin/false"
	cmdFails     = "exit 3"
	cmdLoads     = "modprobe -i "
	cmdThenFails = "; exit 1"
	cmdHangs     = "sleep 1000"
)

// wants are the lines of modules-load.d, and one that leads to nothing.
func (b *board) wants() []core.Want {
	wants := []core.Want{{Name: "nothing", By: rules.Reason{Source: "/etc/modules-load.d/test.conf", Line: 1}}}
	for i, name := range b.wanted {
		wants = append(wants, core.Want{Name: name, By: rules.Reason{Source: "/etc/modules-load.d/test.conf", Line: i + 2}})
	}
	return wants
}

func (b *board) newModule(rng *rand.Rand, i int) fake.Module {
	m := fake.Module{Name: fmt.Sprintf("m%02d", i), Numbers: []string{"debug"}}
	for _, earlier := range b.modules {
		if rng.IntN(5) == 0 {
			m.Needs = append(m.Needs, earlier.Name)
		}
	}
	if rng.IntN(3) > 0 {
		m.Drives = []string{b.devices[rng.IntN(len(b.devices))].Modalias}
	}
	m.Init = time.Duration(rng.IntN(300)) * time.Millisecond
	m.Probe = time.Duration(rng.IntN(300)) * time.Millisecond
	m.Async = rng.IntN(4) == 0
	switch rng.IntN(20) {
	case 0:
		m.Result = syscall.ENODEV
	case 1:
		m.Refused = syscall.ENOEXEC
	case 2:
		m.Oops = true
	case 3:
		m.Init = fake.Forever
	case 4:
		m.Probe = fake.Forever
	case 5:
		m.ProbeErr = syscall.EIO
	case 6:
		m.Init = time.Duration(5+rng.IntN(20)) * time.Second
	case 7, 8:
		m.Firmware = m.Name + ".bin"
	case 9:
		m.NoExit = true
	case 10:
		m.ExitOops = true
	case 11:
		m.Exit = []time.Duration{fake.Forever, 400 * time.Millisecond, 10 * time.Second}[rng.IntN(3)]
	}
	return m
}

// badBuilds are files that somebody may load by hand: another build of each
// module, which gives up after a while.
func (b *board) badBuilds() []fake.Module {
	var bad []fake.Module
	for _, m := range b.modules {
		bad = append(bad, fake.Module{Name: m.Name, File: "bad/" + m.Name + ".ko", Init: 400 * time.Millisecond, Result: syscall.EIO})
	}
	return bad
}

// set gives the rules of the board with what somebody says. Without order,
// modules.dep knows of no dependencies.
func (b *board) set(t testing.TB, says operator, order bool) *rules.Set {
	t.Helper()
	return b.setWith(t, says, order, true)
}

// setWith is set, with or without the install lines.
func (b *board) setWith(t testing.TB, says operator, order, commands bool) *rules.Set {
	t.Helper()
	var dep, alias, conf strings.Builder
	for _, m := range b.modules {
		fmt.Fprintf(&dep, "%s.ko:", m.Name)
		if order {
			for _, need := range b.closure(m) {
				fmt.Fprintf(&dep, " %s.ko", need)
			}
		}
		dep.WriteByte('\n')
		for _, d := range m.Drives {
			fmt.Fprintf(&alias, "alias %s* %s\n", d, m.Name)
		}
	}
	for _, line := range b.softdeps {
		fmt.Fprintln(&conf, line)
	}
	for _, m := range b.modules {
		if command := b.commands[m.Name]; command != "" && commands {
			fmt.Fprintln(&conf, "install", m.Name, command)
		}
	}
	for _, name := range says.blacklist {
		fmt.Fprintln(&conf, "blacklist", name)
	}
	tables, err := match.Parse("/lib/modules/test", map[string]string{"modules.dep": dep.String(), "modules.alias": alias.String()})
	if err != nil {
		t.Fatal(err)
	}
	return rules.NewSet(tables, modprobed.Parse("", modprobed.File{Name: "/etc/modprobe.d/test.conf", Text: conf.String()}),
		rules.WithPolicy(b.policy(says)))
}

// What deferred modules wait for, beside the end of the boot.
const (
	goFile    = "/run/go"
	laterTime = 20 * time.Second
)

// waitsFor is what a module waits for, "" if it is not deferred.
func waitsFor(module string) policy.Trigger {
	last := module[len(module)-1]
	if last%3 != 1 {
		return ""
	}
	return []policy.Trigger{policy.BootComplete, goFile, policy.Trigger(laterTime.String())}[last/3%3]
}

// policy is the kmodd.toml of the board.
func (b *board) policy(says operator) *policy.Policy {
	var text strings.Builder
	text.WriteString("prediction = true\n")
	for _, modalias := range says.denied {
		fmt.Fprintf(&text, "[[rule]]\nmodalias = %q\nstage = \"deny\"\n", modalias)
	}
	for _, modalias := range says.preferred {
		fmt.Fprintf(&text, "[[rule]]\nmodalias = %q\nprefer = [%s]\nbind_timeout = %q\n",
			modalias, `"`+strings.Join(b.prefers[modalias], `", "`)+`"`, bindTimeout)
	}
	for _, name := range says.sleeping {
		fmt.Fprintf(&text, "[[rule]]\nmodule = %q\nidle = %q\nidentity = \"any\"\n", name, idleTime)
		if name[len(name)-1]%2 == 0 {
			fmt.Fprintln(&text, `stage = "on-open"`)
		}
	}
	for _, m := range b.modules {
		if m.Name[len(m.Name)-1]%3 == 0 {
			fmt.Fprintf(&text, "[[rule]]\nmodule = %q\nstage = \"critical\"\n", m.Name)
		}
		if until := waitsFor(m.Name); until != "" {
			fmt.Fprintf(&text, "[[rule]]\nmodule = %q\nstage = \"deferred\"\nafter = %q\n", m.Name, until)
		}
	}
	return policy.Parse(policy.File{Name: "/etc/kmodd/kmodd.toml", Text: text.String()})
}

func (b *board) module(name string) *fake.Module {
	i := slices.IndexFunc(b.modules, func(m fake.Module) bool { return m.Name == name })
	return &b.modules[i]
}

// bare tells whether the bus of a device has no driver_override.
func (b *board) bare(path string) bool {
	return slices.ContainsFunc(b.devices, func(d fake.Device) bool { return d.Path == path && d.Bare })
}

// closure lists all that a module needs, as a line of modules.dep does: what
// is loaded first stands last.
func (b *board) closure(m fake.Module) []string {
	var all []string
	for _, other := range slices.Backward(b.modules) {
		if b.needs(m, other.Name) {
			all = append(all, other.Name)
		}
	}
	return all
}

func (b *board) needs(m fake.Module, name string) bool {
	return slices.ContainsFunc(m.Needs, func(need string) bool {
		return need == name || b.needs(*b.module(need), name)
	})
}

// matching lists the modules for a MODALIAS.
func (b *board) matching(modalias string) []string {
	var names []string
	for _, m := range b.modules {
		if slices.Contains(m.Drives, modalias) {
			names = append(names, m.Name)
		}
	}
	return names
}

// sound tells whether a module, and all it needs, becomes live when it is
// loaded.
func (b *board) sound(name string) bool {
	m := b.module(name)
	hangs := m.Init == fake.Forever || m.Probe == fake.Forever && !m.Async
	if command := b.commands[name]; command != "" && !strings.HasPrefix(command, cmdLoads) {
		return false
	}
	if hangs || m.Result != 0 || m.Refused != 0 || m.Oops {
		return false
	}
	return !slices.ContainsFunc(m.Needs, func(need string) bool { return !b.sound(need) })
}
