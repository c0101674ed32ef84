package kernel

import "testing"

func TestMemoryIsWhatTheKernelCanNotGiveUp(t *testing.T) {
	for _, tt := range []struct {
		name, meminfo string
		size          int64
		known         bool
	}{
		{"all of it", "MemTotal: 100 kB\nKernelStack:     1 kB\nSlab: 99 kB\nSReclaimable: 50 kB\nSUnreclaim:      20 kB\nVmallocUsed:     300 kB\nPercpu:     4000 kB\n", 4321 << 10, true},
		{"an old kernel, without some", "SUnreclaim: 20 kB\n\nPercpu:\n", 20 << 10, true},
		{"no file", "", 0, false},
		{"no number", "SUnreclaim: many kB\n", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tree(t, "-- proc/meminfo --\n"+tt.meminfo+"-- sys/devices/system/cpu/isolated --\n\n")
			if size, known := s.Memory(); size != tt.size || known != tt.known {
				t.Errorf("got %d, %v", size, known)
			}
		})
	}
}

func TestAModulesSizeIsThatOfItsCodeAndData(t *testing.T) {
	s := tree(t, "-- sys/module/m/coresize --\n16384\n-- sys/module/broken/coresize --\nmuch\n")
	for module, want := range map[string]int64{"m": 16384, "broken": 0, "absent": 0} {
		if got := s.Size(module); got != want {
			t.Errorf("%s: %d bytes, want %d", module, got, want)
		}
	}
}
