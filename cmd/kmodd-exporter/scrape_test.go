package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/daemon/control"
)

// busyPC is what a daemon may say of itself. Every number is another, so that
// none can stand for another one.
var (
	busyPC = control.Status{
		Version: "1.2.3", Kernel: "6.1.0-56-amd64", PID: 101, Started: 4500 * time.Millisecond, Now: time.Hour, Settled: true,
		Devices:  map[control.Result]int{control.Bound: 61, control.Failed: 2},
		Modules:  map[control.State]int{control.Live: 107, control.Waiting: 3, control.InLoad: 11},
		Uevents:  control.Uevents{Received: 1402, Malformed: 4, Foreign: 5, Overflows: 6, Scans: 7},
		Tables:   "/lib/modules/6.1.0-56-amd64",
		Foreseen: 14, Mispredicted: 2,
		Warnings: []string{"/etc/modprobe.d/x.conf:1: unknown command", "no modules.softdep"},
	}
	busyPCMetrics = control.Metrics{
		Loads: map[control.Outcome]uint64{control.Loaded: 105, control.NoHardware: 8},
		LoadTimes: control.LoadTimes{
			Bounds: []time.Duration{2500 * time.Microsecond, time.Second, 10 * time.Second},
			Counts: []uint64{100, 10, 2, 1},
			Sum:    31500 * time.Millisecond,
		},
		SlowLoads: 9, NotesMissed: 10, Slept: 11, Woken: 12, Freed: 13,
	}
)

// answers is a daemon that answers with what the functions return.
type answers struct {
	status  func(context.Context) (any, error)
	metrics func(context.Context) (any, error)
}

func (a answers) Ask(ctx context.Context, r control.Request) (any, error) {
	switch r.(type) {
	case control.StatusRequest:
		return a.status(ctx)
	case control.MetricsRequest:
		return a.metrics(ctx)
	}
	return nil, errors.ErrUnsupported
}

func says(value any) func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return value, nil }
}

var healthy = answers{says(busyPC), says(busyPCMetrics)}

// startDaemon answers on a socket until stop is called, or the test ends.
func startDaemon(t *testing.T, socket string, h control.Handler) (stop func()) {
	t.Helper()
	l, err := control.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &control.Server{Listener: l, Version: "1.2.3", Handler: h, Notes: new(control.Notes), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// startExporter answers scrapes, and logs to log.
func startExporter(t *testing.T, c *collector, log *slog.Logger) (url string) {
	t.Helper()
	server := httptest.NewServer(handler(c, log))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return server.URL
}

// get returns the body of an answer, which must be 200.
func get(t *testing.T, url string) string {
	t.Helper()
	reply, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reply.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", reply.Status, body)
	}
	return string(body)
}

const away = `# HELP kmodd_up Whether kmodd answered: 1, or 0, and then there is nothing else.
# TYPE kmodd_up gauge
kmodd_up 0
`

func TestADaemonThatIsAwayIsOneNumberAndOneLineOfLog(t *testing.T) {
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	socket := socketPath(t)
	url := startExporter(t, newCollector(socket, log), log) + "/metrics"

	for range 3 {
		if diff := cmp.Diff(away, get(t, url)); diff != "" {
			t.Errorf("without a daemon (-want +got):\n%s", diff)
		}
	}
	stop := startDaemon(t, socket, healthy)
	for range 2 {
		if got := get(t, url); !strings.Contains(got, "\nkmodd_up 1\n") {
			t.Errorf("with a daemon: %s", got)
		}
	}
	stop()
	if diff := cmp.Diff(away, get(t, url)); diff != "" {
		t.Errorf("after the daemon's end (-want +got):\n%s", diff)
	}
	var levels []string
	for line := range strings.Lines(said.String()) {
		levels = append(levels, strings.Fields(line)[1])
	}
	if diff := cmp.Diff([]string{"level=WARN", "level=INFO", "level=WARN"}, levels); diff != "" {
		t.Errorf("log (-want +got):\n%s\n%s", diff, &said)
	}
	if !strings.Contains(said.String(), "start it with systemctl start kmodd") {
		t.Errorf("the log has no cure: %s", &said)
	}
}

// Half an answer would be worse than none: its numbers would look as if the rest
// had vanished.
// socketPath is a place for a socket. The directories of t.TempDir have the test's
// name in theirs, and a socket's path is 107 bytes at most (unix(7)).
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kmodd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "socket")
}

func TestADaemonThatAnswersInPartIsAway(t *testing.T) {
	hangs := func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() }
	for _, tt := range []struct {
		name   string
		daemon answers
		says   string
	}{
		{"an older one, without metrics", answers{says(busyPC), func(context.Context) (any, error) { return nil, errors.ErrUnsupported }}, "not implemented"},
		{"one that fails", answers{func(context.Context) (any, error) { return nil, errors.New("broken") }, says(busyPCMetrics)}, "broken"},
		{"one that hangs", answers{says(busyPC), hangs}, "deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			log := slog.New(slog.NewTextHandler(&said, nil))
			socket := socketPath(t)
			startDaemon(t, socket, tt.daemon)
			c := newCollector(socket, log)
			c.timeout = 50 * time.Millisecond
			if diff := cmp.Diff(away, get(t, startExporter(t, c, log)+"/metrics")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !strings.Contains(said.String(), tt.says) {
				t.Errorf("it logs %q, want %q in it", &said, tt.says)
			}
		})
	}
}

func TestAScrapeIsAnsweredWithEveryNumber(t *testing.T) {
	socket := socketPath(t)
	startDaemon(t, socket, healthy)
	log := slog.New(slog.DiscardHandler)
	got := get(t, startExporter(t, newCollector(socket, log), log)+"/metrics")
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("testdata/metrics.txt (-want +got):\n%s", diff)
	}
}

// A word that this program does not know is no reason to drop a number.
func TestWhatALaterDaemonCountsIsShown(t *testing.T) {
	got := each([]control.State{control.Live}, map[control.State]int{"frozen": 2, "asleep": 1})
	want := []sample{{0, []string{"live"}}, {1, []string{"asleep"}}, {2, []string{"frozen"}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

// Prometheus refuses buckets that do not hold the smaller ones.
func TestBucketsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.Uint64Range(0, 1000), 1, 20).Draw(t, "counts")
		times := control.LoadTimes{Counts: counts}
		for i := range len(counts) - 1 {
			times.Bounds = append(times.Bounds, time.Millisecond<<i)
		}
		buckets, total := cumulate(times)
		sum := uint64(0)
		for i, bound := range times.Bounds {
			if sum += counts[i]; buckets[bound.Seconds()] != sum {
				t.Errorf("%d took up to %v, want %d", buckets[bound.Seconds()], bound, sum)
			}
		}
		if sum += counts[len(counts)-1]; total != sum || len(buckets) != len(times.Bounds) {
			t.Errorf("%d loads in %d buckets, want %d in %d", total, len(buckets), sum, len(times.Bounds))
		}
	})
}

func TestMoreScrapesThanAllowedAreTold503(t *testing.T) {
	asked, release := make(chan struct{}, mostScrapes), make(chan struct{})
	slow := answers{metrics: says(busyPCMetrics), status: func(context.Context) (any, error) {
		asked <- struct{}{}
		<-release
		return busyPC, nil
	}}
	socket := socketPath(t)
	startDaemon(t, socket, slow)
	log := slog.New(slog.DiscardHandler)
	url := startExporter(t, newCollector(socket, log), log) + "/metrics"

	codes := make(chan int, mostScrapes)
	for range mostScrapes {
		go func() { codes <- status(t, url) }()
	}
	for range mostScrapes {
		<-asked
	}
	if got := status(t, url); got != http.StatusServiceUnavailable {
		t.Errorf("one scrape more is told %d", got)
	}
	close(release)
	for range mostScrapes {
		if got := <-codes; got != http.StatusOK {
			t.Errorf("a scrape is told %d", got)
		}
	}
}

func status(t *testing.T, url string) int {
	reply, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return 0
	}
	reply.Body.Close()
	return reply.StatusCode
}

func TestOnlyReadingIsAnswered(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	url := startExporter(t, newCollector("/nonexistent", log), log)
	if got := get(t, url); !strings.Contains(got, "/metrics") {
		t.Errorf("whoever comes without a path is told %q", got)
	}
	for _, tt := range []struct {
		name, method, path string
		want               int
	}{
		{"another path", http.MethodGet, "/debug/pprof/", http.StatusNotFound},
		{"a change", http.MethodPost, "/metrics", http.StatusMethodNotAllowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			reply.Body.Close()
			if reply.StatusCode != tt.want {
				t.Errorf("told %s, want %d", reply.Status, tt.want)
			}
		})
	}
}
