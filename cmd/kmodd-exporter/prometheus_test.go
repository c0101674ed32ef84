package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
)

// program returns the path of a program of Debian's package of Prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	root, err := debian.Unpacked(t.Context(), os.Stderr, "prometheus")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "usr/bin", name)
}

// Promtool knows Prometheus' conventions of names, types and help.
func TestPromtoolFindsNoFault(t *testing.T) {
	promtool := program(t, "promtool")
	for _, tt := range []struct {
		name, input string
		fault       string
	}{
		{"what it should notice", "# HELP kmodd_loads Loads.\n# TYPE kmodd_loads counter\nkmodd_loads 1\n", `should have "_total" suffix`},
		{"without a daemon", away, ""},
		{"with one", scrapeOnce(t), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
			check.Stdin = strings.NewReader(tt.input)
			out, err := check.CombinedOutput()
			if (err == nil) != (tt.fault == "") || !strings.Contains(string(out), tt.fault) {
				t.Errorf("promtool check metrics: %v\n%s", err, out)
			}
		})
	}
}

// scrapeOnce is what is answered with a healthy daemon.
func scrapeOnce(t *testing.T) string {
	t.Helper()
	return get(t, startBoth(t)+"/metrics")
}

// startBoth starts a healthy daemon and an exporter.
func startBoth(t *testing.T) (url string) {
	t.Helper()
	socket := socketPath(t)
	startDaemon(t, socket, healthy)
	log := slog.New(slog.DiscardHandler)
	return startExporter(t, newCollector(socket, log), log)
}

// TestPrometheusScrapesIt has a real Prometheus scrape, configured as
// docs/metrics.md says but for address and haste, and asks it what it knows.
func TestPrometheusScrapesIt(t *testing.T) {
	target := strings.TrimPrefix(startBoth(t), "http://")
	config := "global: {scrape_interval: 500ms}\n" + strings.Replace(fenced(t, docs(t), "yaml"), defaultListen, target, 1)
	if !strings.Contains(config, target) {
		t.Fatalf("docs/metrics.md configures another address than %s:\n%s", defaultListen, config)
	}
	prometheus := startPrometheus(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, tt := range []struct{ query, want string }{
		{`up{job="kmodd"}`, "1"},
		{`kmodd_up`, "1"},
		{`kmodd_uevents_total`, "1402"},
		{`kmodd_loads_total{result="live"}`, "105"},
		{`kmodd_devices{state="bound"}`, "61"},
		{`kmodd_load_seconds_sum`, "31.5"},
		{`kmodd_load_seconds_count`, "113"},
		{`kmodd_load_seconds_bucket{le="1"}`, "110"},
		{`kmodd_build_info{version="1.2.3"}`, "1"},
		// Vectors with different labels meet in nothing, which is no error.
		{`kmodd_modules{state="loading"} > 0 and ignoring (state) kmodd_settled == 1`, "11"},
	} {
		if got := prometheus.await(ctx, t, tt.query); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.query, got, tt.want)
		}
	}
	for query := range strings.SplitSeq(fenced(t, docs(t), "promql"), "\n\n") {
		if _, err := prometheus.ask(ctx, query); err != nil {
			t.Errorf("docs/metrics.md: %v", err)
		}
	}
}

// A server is a Prometheus that runs.
type server struct{ url string }

// startPrometheus starts one that listens on the loopback interface and keeps
// its data in a folder of the test's. It ends with the test.
func startPrometheus(t *testing.T, config string) server {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "prometheus"), "--config.file="+file,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ready, said := make(chan error), make(chan string, 1), make(chan string, 1)
	go func() {
		// The signal is sent when the thread ends that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- cmd.Start()
		said <- watch(log, ready)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already, which Wait tells
		text := <-said
		if err := cmd.Wait(); err != nil {
			t.Errorf("prometheus: %v\n%s", err, text)
		}
	})
	address, ok := <-ready
	if !ok {
		t.Fatal("prometheus did not get ready")
	}
	return server{"http://" + address}
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// watch reads a log to its end and returns it. The address that it tells of is
// sent when it also says that all is ready, which it may do before or after; if
// it never does, the channel is closed.
func watch(log io.Reader, ready chan<- string) string {
	defer close(ready)
	var text strings.Builder
	var address string
	var serves, told bool
	for lines := bufio.NewScanner(log); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
		if strings.Contains(lines.Text(), `msg="Server is ready to receive web requests."`) {
			serves = true
		}
		if serves && address != "" && !told {
			ready <- address
			told = true
		}
	}
	return text.String()
}

// await asks until there is a value. Prometheus has no word for the end of a
// scrape, so it is asked again and again.
func (s server) await(ctx context.Context, t *testing.T, query string) string {
	t.Helper()
	for pause := time.NewTicker(50 * time.Millisecond); ; {
		values, err := s.ask(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		if len(values) == 1 {
			return values[0]
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			t.Fatalf("%s: %d values until now", query, len(values))
		}
	}
}

// ask has Prometheus evaluate a query now, and returns the values that it found.
func (s server) ask(ctx context.Context, query string) (values []string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return nil, err
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("ask %s: %s: %w", query, reply.Status, err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("ask %s: %s", query, answer.Error)
	}
	for _, r := range answer.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, nil
}

// Prometheus listens and gets ready in two goroutines, so the log tells of
// either first.
func TestTheAddressIsKnownInWhicheverOrderPrometheusTellsOfIt(t *testing.T) {
	const listens = `ts=1 msg="Listening on" address=127.0.0.1:4711` + "\n"
	const serves = `ts=1 msg="Server is ready to receive web requests."` + "\n"
	for _, tt := range []struct{ name, log, want string }{
		{"listening first", listens + serves, "127.0.0.1:4711"},
		{"ready first", serves + listens, "127.0.0.1:4711"},
		{"never ready", listens, ""},
		{"never listening", serves, ""},
	} {
		ready := make(chan string, 1)
		watch(strings.NewReader(tt.log), ready)
		if got := <-ready; got != tt.want {
			t.Errorf("%s: the address is %q, want %q", tt.name, got, tt.want)
		}
	}
}
