package bench

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/kmodd/kmodd/match/index"
	"github.com/kmodd/kmodd/modalias/modaliastest"
)

// A family is the aliases of one bus, and names to look up among them.
type family struct {
	name   string
	hits   []string // one made from each alias
	misses []string // which look much the same, and lead to no module
}

// buses are the families by themselves: those of many aliases, and those of few that are long. All others are
// taken together.
var buses = []string{
	"acpi", "cpu", "dmi", "hdaudio", "hid", "i2c", "input", "mdio", "of", "pci", "pcmcia", "platform", "spi", "usb",
}

const otherFamilies = "other"

// familyOf names the family of an alias, as "acpi" of "acpi*:LNXSYSTM:*".
func familyOf(alias string) string {
	bus, _, _ := strings.Cut(alias, ":")
	bus = strings.TrimRight(bus, "*")
	if slices.Contains(buses, bus) {
		return bus
	}
	return otherFamilies
}

// families makes names from all aliases, the largest family first. They are the same ones each time.
func (t table) families() ([]family, error) {
	r := rand.New(rand.NewPCG(1, 0))
	byName := map[string]*family{}
	err := t.aliases.Each(func(key []byte, _ index.Value) {
		alias := string(key)
		name := familyOf(alias)
		f := byName[name]
		if f == nil {
			f = &family{name: name}
			byName[name] = f
		}
		hit := modaliastest.Concrete(alias, r)
		f.hits = append(f.hits, hit)
		if miss, ok := t.miss(hit, r); ok {
			f.misses = append(f.misses, miss)
		}
	})
	var all []family
	for _, name := range append(slices.Clone(buses), otherFamilies) {
		if f := byName[name]; f != nil {
			all = append(all, *f)
		}
	}
	slices.SortStableFunc(all, func(a, b family) int { return len(b.hits) - len(a.hits) })
	return all, err
}

// patience is after how many wrong bytes a name that still leads somewhere is given up: some aliases match
// whatever follows the name of their bus.
const patience = 64

// miss puts wrong bytes behind the name of a bus, one after the other, until the name leads to no module.
func (t table) miss(hit string, r *rand.Rand) (string, bool) {
	name := []byte(hit)
	from := min(bytes.IndexByte(name, ':')+1, len(name)-1)
	for range patience {
		at := from + r.IntN(len(name)-from)
		name[at] = sibling(name[at], r)
		if t.modules(string(name)) == "" {
			return string(name), true
		}
	}
	return "", false
}

// sibling returns another byte of the same kind, such as another digit for a digit.
func sibling(c byte, r *rand.Rand) byte {
	for _, kind := range []string{"0123456789", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"} {
		if at := strings.IndexByte(kind, c); at >= 0 {
			return kind[(at+1+r.IntN(len(kind)-1))%len(kind)]
		}
	}
	return c
}

// mix takes the names of all families together, in an order in which neighbours have nothing to do with each
// other.
func mix(families []family) (names []string) {
	for _, f := range families {
		names = slices.Concat(names, f.hits, f.misses)
	}
	return shuffled(names)
}

func shuffled(names []string) []string {
	names = slices.Clone(names)
	rand.New(rand.NewPCG(2, 0)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// sample takes some names of a family, so that libkmod does not take minutes for one of them.
func sample(names []string) []string {
	names = shuffled(names)
	return names[:min(len(names), 1000)]
}
