package bench

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

const ueventPackage = "github.com/kmodd/kmodd/daemon/uevent"

// figures are what benchmarks reported, run by run, by "NAME UNIT", such as "BenchmarkParse ns/op".
type figures map[string][]float64

// benchmarks runs the benchmarks of a package that match a regular expression, some times each.
func benchmarks(ctx context.Context, pkg, match string, runs int, flags ...string) (figures, error) {
	args := append([]string{"test", "-run=^$", "-bench=" + match, "-benchmem", "-count=" + strconv.Itoa(runs)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return parseBenchmarks(string(out))
}

// parseBenchmarks reads what go test prints of benchmarks: lines of a name (with the number of processors,
// if that isn't one), the number of iterations, and pairs of a figure and its unit.
func parseBenchmarks(out string) (figures, error) {
	all := figures{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, _ := strings.Cut(fields[0], "-")
		for i := 2; i+1 < len(fields); i += 2 {
			figure, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("read the result of a benchmark: %w in %q", err, line)
			}
			all[name+" "+fields[i+1]] = append(all[name+" "+fields[i+1]], figure)
		}
	}
	return all, nil
}

// parsing measures how a uevent is parsed.
func parsing(ctx context.Context, runs int) ([]row, error) {
	f, err := benchmarks(ctx, ueventPackage, "^BenchmarkParse", runs)
	if err != nil {
		return nil, err
	}
	const ours, peer = "BenchmarkParse ", "BenchmarkParseGoUdev "
	return f.checked(
		row{what: "parse a uevent", unit: inNanoseconds, ours: f[ours+"ns/op"],
			whose: "go-udev", peer: f[peer+"ns/op"], bound: atMost(500)},
		row{what: "  allocations", unit: inCount, ours: f[ours+"allocs/op"],
			whose: "go-udev", peer: f[peer+"allocs/op"], bound: atMost(1)})
}

// injected is how many uevents are sent through the socket.
const injected = 20_000

// injecting measures a flood of uevents in a network namespace of its own, from the injector through the
// kernel to whoever takes them. An event that does not arrive fails the benchmark.
func injecting(ctx context.Context, runs int) ([]row, error) {
	f, err := benchmarks(ctx, ueventPackage, "^BenchmarkSource$", runs, fmt.Sprintf("-benchtime=%dx", injected))
	if err != nil {
		return nil, err
	}
	const ours = "BenchmarkSource "
	return f.checked(
		row{what: fmt.Sprintf("%d uevents injected, lost", injected), unit: inCount, ours: f[ours+"lost"], bound: atMost(0)},
		row{what: "  growth of the heap", unit: inBytes, ours: f[ours+"heap-growth-B"], bound: atMost(256 << 10)},
		row{what: "  each, injecting included", unit: inNanoseconds, ours: f[ours+"ns/op"]})
}

// checked returns the rows, or an error if a benchmark did not report what one of them is about.
func (f figures) checked(rows ...row) ([]row, error) {
	for _, r := range rows {
		if len(r.ours) == 0 || r.whose != "" && len(r.peer) == 0 {
			return nil, fmt.Errorf("no benchmark of %s reported %q", ueventPackage, r.what)
		}
	}
	return rows, nil
}
