package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRollup(t *testing.T) {
	whole := "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:   4652 kB\nAnonymous:   1700 kB\nAnonHugePages:   0 kB\n"
	tests := []struct {
		name, text string
		want       memory
		says       string // of the error, "" for none
	}{
		{"nothing at all", "", memory{}, "lacks 3"},
		{"a kernel without huge pages in it", "Rss: 1 kB\nAnonymous: 1 kB\n", memory{}, "lacks 1"},
		{"no number", strings.Replace(whole, "4652", "many", 1), memory{}, "Rss: "},
		{"a program's", whole, memory{rss: 4652 << 10, anonymous: 1700 << 10}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseRollup(test.text)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Fatalf("error %v, want one with %q", err, test.says)
				}
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(memory{})); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestATraceTellsOfLoadsAndOfDevicesSinceItsMark(t *testing.T) {
	const (
		head  = "# tracer: nop\n#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
		early = "          insmod-90      [000] .....     4.000000: module_load: brd \n"
		mark  = "              sh-100     [001] .....     5.250000: tracing_mark_write: begin\n"
		load  = "  kmodd-worker-120     [001] .....     6.750000: module_load: e1000 E\n"
		bound = "  kmodd-worker-120     [001] .....     6.500000: bound: (device_links_driver_bound+0x0/0x300) name=\"0000:00:02.0\"\n" +
			"  kmodd-worker-120     [001] .....     7.250000: bound: (device_links_driver_bound+0x0/0x300) name=\"1-1:1.0\"\n"
	)
	tests := []struct {
		name, trace        string
		load, bound, first time.Duration
		fails              bool
	}{
		{"nothing was loaded", head + mark, 0, 0, 0, true},
		{"no mark", head + load, 0, 0, 0, true},
		{"the mark is the beginning", head + early + mark + load, 1500 * time.Millisecond, 0, 0, false},
		{"devices have their drivers", head + mark + load + bound, 1500 * time.Millisecond, 2 * time.Second, 1250 * time.Millisecond, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseTrace(strings.NewReader(test.trace))
			switch {
			case test.fails:
				if err == nil {
					t.Errorf("%v", got)
				}
			case err != nil, got.load != test.load, got.last() != test.bound, got.last("0000:00:02.0") != test.first:
				t.Errorf("%v, error %v", got, err)
			}
		})
	}
}

func TestBenchmarksOfGoTest(t *testing.T) {
	got, err := parseBenchmarks(`goos: linux
cpu: something-2
BenchmarkParse-2          	 8000000	       142.5 ns/op	1333.30 MB/s	       0 B/op	       0 allocs/op
BenchmarkParse-2          	 8000000	       150 ns/op	1300 MB/s	       0 B/op	       0 allocs/op
BenchmarkSource           	   20000	      3483 ns/op	       0 lost
PASS
`)
	want := figures{
		"BenchmarkParse ns/op": {142.5, 150}, "BenchmarkParse MB/s": {1333.3, 1300},
		"BenchmarkParse B/op": {0, 0}, "BenchmarkParse allocs/op": {0, 0},
		"BenchmarkSource ns/op": {3483}, "BenchmarkSource lost": {0},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := parseBenchmarks("BenchmarkX 1 fast ns/op\n"); err == nil {
		t.Error("a figure that is none was taken")
	}
}

func TestTableSaysWhatWasReached(t *testing.T) {
	r := report{about: [][2]string{{"date", "2001-01-01"}}, rows: []row{
		{what: "fast", unit: inNanoseconds, ours: []float64{90, 100, 400}, whose: "peer", peer: []float64{250}, bound: atMost(100)},
		{what: "big", unit: inBytes, ours: []float64{2e6, 4e6}, bound: atMost(2e6)},
		{what: "none", unit: inCount, ours: []float64{0}, whose: "peer", peer: []float64{7}},
		{what: "slow", unit: inNanoseconds, ours: []float64{10}, whose: "peer", peer: []float64{79}, times: 8},
		{what: "swift", unit: inNanoseconds, ours: []float64{10}, whose: "peer", peer: []float64{1234}, times: 50},
		{what: "all", unit: inFull, ours: []float64{52439}},
	}, families: []familyRow{
		{arch: "m68k", family: "zorro", aliases: 7,
			hits:   group{names: []string{"a"}, walk: []float64{100}, theirs: []float64{90}, allocations: []float64{0}},
			misses: group{names: []string{"b"}, walk: []float64{50}, theirs: []float64{12_345}, allocations: []float64{2}}},
		{arch: "m68k", family: "greedy", aliases: 1,
			hits: group{names: []string{"a"}, walk: []float64{100}, theirs: []float64{90}, allocations: []float64{0}}},
	}}
	var text, markdown strings.Builder
	if err := r.writeText(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.writeMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	wantText := `date  2001-01-01

WHAT   KMODD    PEER          PEER/KMODD  BOUND        REACHED
fast   100 ns   peer 250 ns   2.5         <= 100 ns    yes
big    3.00 MB                            <= 2.00 MB   NO
none   0        peer 7                                 
slow   10 ns    peer 79 ns    7.9         >= 8 times   NO
swift  10 ns    peer 1234 ns  123         >= 50 times  yes
all    52439                                           

TABLE  FAMILY  ALIASES  HIT     LIBKMOD  LIBKMOD/KMODD  MISS   LIBKMOD  LIBKMOD/KMODD  ALLOCATIONS
m68k   zorro   7        100 ns  90 ns    0.9            50 ns  12.3 µs  247            2
m68k   greedy  1        100 ns  90 ns    0.9                                           0
`
	wantMarkdown := `- date: 2001-01-01

| WHAT | KMODD | PEER | PEER/KMODD | BOUND | REACHED |
| --- | --- | --- | --- | --- | --- |
| fast | 100 ns | peer 250 ns | 2.5 | <= 100 ns | yes |
| big | 3.00 MB |  |  | <= 2.00 MB | NO |
| none | 0 | peer 7 |  |  |  |
| slow | 10 ns | peer 79 ns | 7.9 | >= 8 times | NO |
| swift | 10 ns | peer 1234 ns | 123 | >= 50 times | yes |
| all | 52439 |  |  |  |  |

| TABLE | FAMILY | ALIASES | HIT | LIBKMOD | LIBKMOD/KMODD | MISS | LIBKMOD | LIBKMOD/KMODD | ALLOCATIONS |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| m68k | zorro | 7 | 100 ns | 90 ns | 0.9 | 50 ns | 12.3 µs | 247 | 2 |
| m68k | greedy | 1 | 100 ns | 90 ns | 0.9 |  |  |  | 0 |
`
	if diff := cmp.Diff(wantText, text.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantMarkdown, markdown.String()); diff != "" {
		t.Errorf("markdown (-want +got):\n%s", diff)
	}
}
