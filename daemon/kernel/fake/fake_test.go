package fake

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// run advances a kernel until nothing is planned any more, and writes down
// what happened.
func run(k *Kernel) string {
	var b strings.Builder
	for at, more := k.Next(); more; at, more = k.Next() {
		for _, e := range k.Advance(at) {
			fmt.Fprintf(&b, "%v %s", e.At, e.What)
			switch e.What {
			case Done, Killed:
				fmt.Fprintf(&b, " %d %s", e.Call, e.Module)
				if e.Errno != 0 {
					b.WriteString(" " + unix.ErrnoName(e.Errno))
				}
			default:
				b.WriteString(" " + strings.Join(strings.Fields(e.Path+" "+e.Modalias+" "+e.Driver), " "))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestTraces(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name    string
		modules []Module
		world   func(*Kernel)
		want    string
	}{
		{"the second load of a module that fails says EBUSY, not the reason",
			[]Module{{Name: "a", Init: 2 * s, Result: syscall.ENODEV}},
			func(k *Kernel) { k.Insert(0, "a.ko", ""); k.Insert(s, "a.ko", "") },
			"2s done 1 a ENODEV\n2s done 2 a EBUSY\n"},
		{"nor does a load after that fail for it",
			[]Module{{Name: "a", Init: 2 * s, Result: syscall.ENODEV}},
			func(k *Kernel) { k.Insert(0, "a.ko", ""); k.Insert(3*s, "a.ko", "") },
			"2s done 1 a ENODEV\n5s done 2 a ENODEV\n"},
		{"a load waits for a symbol whose module is coming",
			[]Module{{Name: "a", Init: 2 * s}, {Name: "b", Needs: []string{"a"}, Init: s}},
			func(k *Kernel) { k.Insert(0, "a.ko", ""); k.Insert(s, "b.ko", "") },
			"2s add /module/a\n2s done 1 a\n3s add /module/b\n3s done 2 b\n"},
		{"but not for ever",
			[]Module{{Name: "a", Init: Forever}, {Name: "b", Needs: []string{"a"}}},
			func(k *Kernel) { k.Insert(0, "a.ko", ""); k.Insert(s, "b.ko", "") },
			"31s done 2 b EBUSY\n"},
		{"an oops kills the caller and leaves the module coming",
			[]Module{{Name: "a", Oops: true}, {Name: "b"}},
			func(k *Kernel) { k.Insert(0, "a.ko", ""); k.Insert(s, "a.ko", ""); k.Insert(s, "b.ko", "") },
			"0s killed 1 a\n1s add /module/b\n1s done 3 b\n"},
		{"a synchronous probe ends before the module is live",
			[]Module{{Name: "a", Init: s, Probe: s, Drives: []string{"x"}}},
			func(k *Kernel) { k.Plug(0, Device{Path: "/d", Modalias: "x"}); k.Insert(0, "a.ko", "") },
			"0s add /d x\n2s bind /d x a\n2s add /module/a\n2s done 1 a\n"},
		{"an asynchronous one ends after it, and the call waits for it",
			[]Module{{Name: "a", Probe: 8 * s, Drives: []string{"x"}, Async: true}},
			func(k *Kernel) { k.Plug(0, Device{Path: "/d", Modalias: "x"}); k.Insert(0, "a.ko", "") },
			"0s add /d x\n0s add /module/a\n8s bind /d x a\n8s done 1 a\n"},
		{"unless it was asked for with async_probe; but the calls of other modules wait",
			[]Module{{Name: "a", Probe: 8 * s, Drives: []string{"x"}}, {Name: "b"}},
			func(k *Kernel) {
				k.Plug(0, Device{Path: "/d", Modalias: "x"})
				k.Insert(0, "a.ko", "async_probe")
				k.Insert(s, "b.ko", "")
			},
			"0s add /d x\n0s add /module/a\n0s done 1 a\n1s add /module/b\n8s bind /d x a\n8s done 2 b\n"},
		{"a device that is plugged later is bound by the live module",
			[]Module{{Name: "a", Drives: []string{"x"}, Probe: s}},
			func(k *Kernel) { k.Insert(0, "a.ko", ""); k.Plug(s, Device{Path: "/d", Modalias: "x"}) },
			"0s add /module/a\n0s done 1 a\n1s add /d x\n2s bind /d x a\n"},
		{"a probe that fails binds nothing and the load succeeds",
			[]Module{{Name: "a", Drives: []string{"x"}, ProbeErr: syscall.EIO}},
			func(k *Kernel) { k.Plug(0, Device{Path: "/d", Modalias: "x"}); k.Insert(0, "a.ko", "") },
			"0s add /d x\n0s add /module/a\n0s done 1 a\n"},
		{"a probe without its supplier is tried again when that is bound",
			[]Module{{Name: "a", Drives: []string{"x"}, Supplier: "/s"}, {Name: "b", Drives: []string{"y"}}},
			func(k *Kernel) {
				k.Plug(0, Device{Path: "/d", Modalias: "x"})
				k.Plug(0, Device{Path: "/s", Modalias: "y"})
				k.Insert(0, "a.ko", "")
				k.Insert(s, "b.ko", "")
			},
			"0s add /d x\n0s add /s y\n0s add /module/a\n0s done 1 a\n1s bind /s y b\n1s add /module/b\n1s done 2 b\n1s bind /d x a\n"},
		{"a driver makes devices, which go with it",
			[]Module{{Name: "a", Drives: []string{"x"}}},
			func(k *Kernel) {
				k.Insert(0, "a.ko", "")
				k.Plug(s, Device{Path: "/d", Modalias: "x", Children: []Device{{Path: "/d/c", Modalias: "y"}}})
				k.Unplug(2*s, "/d")
			},
			"0s add /module/a\n0s done 1 a\n1s add /d x\n1s bind /d x a\n1s add /d/c y\n2s remove /d/c y\n2s unbind /d a\n2s remove /d x\n"},
		{"an unload lets go of the devices",
			[]Module{{Name: "a", Drives: []string{"x"}}},
			func(k *Kernel) {
				k.Plug(0, Device{Path: "/d", Modalias: "x"})
				k.Insert(0, "a.ko", "")
				k.Remove(s, "a")
			},
			"0s add /d x\n0s bind /d x a\n0s add /module/a\n0s done 1 a\n1s unbind /d a\n1s remove /module/a\n1s done 2 a\n"},
		{"a device that goes during its probe is not bound",
			[]Module{{Name: "a", Drives: []string{"x"}, Probe: 2 * s}},
			func(k *Kernel) {
				k.Plug(0, Device{Path: "/d", Modalias: "x"})
				k.Insert(0, "a.ko", "")
				k.Unplug(s, "/d")
			},
			"0s add /d x\n1s remove /d x\n2s add /module/a\n2s done 1 a\n"},
		{"no unload of what is coming, has no exit, or is in use",
			[]Module{{Name: "a", Init: Forever}, {Name: "b", NoExit: true}, {Name: "c"}},
			func(k *Kernel) {
				k.Insert(0, "a.ko", "")
				k.Insert(0, "b.ko", "")
				k.Insert(0, "c.ko", "")
				k.Advance(0)
				k.Use("c", 1)
				k.Remove(0, "a")
				k.Remove(0, "b")
				k.Remove(0, "c")
			},
			"0s done 4 a EBUSY\n0s done 5 b EBUSY\n0s done 6 c EAGAIN\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := New(tt.modules...)
			tt.world(k)
			if diff := cmp.Diff(tt.want, run(k)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever is done to it: a kernel whose calls all return answers each once, a
// module's holders are what is loaded of those that need it, and the same
// deeds leave the same trace.
func TestAnyWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var modules []Module
		for i := range rapid.IntRange(1, 6).Draw(t, "modules") {
			m := Module{Name: fmt.Sprint("m", i), Drives: []string{fmt.Sprint("x", i/2)}}
			m.Init = time.Duration(rapid.IntRange(0, 40).Draw(t, "init")) * time.Second
			m.Probe = time.Duration(rapid.IntRange(0, 3).Draw(t, "probe")) * time.Second
			m.Async = rapid.Bool().Draw(t, "async")
			m.Result = rapid.SampledFrom([]syscall.Errno{0, 0, 0, syscall.ENODEV}).Draw(t, "result")
			for j := range i {
				if rapid.Bool().Draw(t, "needs") {
					m.Needs = append(m.Needs, fmt.Sprint("m", j))
				}
			}
			modules = append(modules, m)
		}
		deeds := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [3]int {
			return [3]int{rapid.IntRange(0, 60).Draw(t, "at"), rapid.IntRange(0, 3).Draw(t, "what"), rapid.IntRange(0, len(modules)-1).Draw(t, "whom")}
		}), 1, 20).Draw(t, "deeds")
		world := func() (*Kernel, int) {
			k, calls := New(modules...), 0
			for _, d := range deeds {
				at, whom := time.Duration(d[0])*time.Second, fmt.Sprint(d[2])
				switch d[1] {
				case 0:
					k.Plug(at, Device{Path: "/d" + whom, Modalias: "x" + whom})
				case 1:
					k.Remove(at, "m"+whom)
					calls++
				default:
					k.Insert(at, "m"+whom+".ko", "")
					calls++
				}
			}
			return k, calls
		}
		k, calls := world()
		trace := run(k)
		if done := strings.Count(trace, " done "); done != calls {
			t.Errorf("%d calls, %d answers:\n%s", calls, done, trace)
		}
		checkHolders(t, k)
		if again, _ := world(); run(again) != trace {
			t.Error("another trace the second time")
		}
	})
}

func checkHolders(t *rapid.T, k *Kernel) {
	want := make(map[string]int)
	for _, m := range k.modules {
		for _, need := range m.Needs {
			want[need]++
		}
	}
	for _, m := range k.modules {
		if m.holders != want[m.Name] {
			t.Errorf("%s has %d holders, want %d", m.Name, m.holders, want[m.Name])
		}
		delete(want, m.Name)
	}
	if len(want) > 0 {
		t.Errorf("needed but not in: %v", want)
	}
}
