package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kmodd/kmodd/daemon/control"
)

// daemonTime is how long the daemon may take to answer.
const daemonTime = 5 * time.Second

// A collector asks the daemon whenever it is asked itself. It may be used from
// several goroutines at once.
type collector struct {
	socket  string
	timeout time.Duration // for the daemon to answer
	log     *slog.Logger

	// mu protects away, which is all that scrapes share.
	mu   sync.Mutex
	away bool // the daemon did not answer the last scrape
}

var _ prometheus.Collector = (*collector)(nil)

func newCollector(socket string, log *slog.Logger) *collector {
	return &collector{socket: socket, timeout: daemonTime, log: log}
}

// Describe names everything that a scrape may be answered with.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- up
	for _, f := range families {
		out <- f.desc
	}
	out <- loadSeconds
}

// Collect answers one scrape.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	a, err := ask(ctx, c.socket)
	c.sayOnce(err)
	if err != nil {
		out <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, 0)
		return
	}
	out <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, 1)
	for _, f := range families {
		for _, s := range f.read(a) {
			out <- prometheus.MustNewConstMetric(f.desc, f.kind, s.value, s.labels...)
		}
	}
	out <- histogram(a.LoadTimes)
}

// sayOnce logs that the daemon is away, or is back, when that is new.
func (c *collector) sayOnce(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && !c.away:
		c.log.Warn("the daemon does not answer: kmodd_up is 0 until it does", "error", err)
	case err == nil && c.away:
		c.log.Info("the daemon answers again")
	}
	c.away = err != nil
}

// An answer is all that the daemon tells in numbers.
type answer struct {
	control.Status
	control.Metrics
}

// ask gets an answer, the whole of it or none.
func ask(ctx context.Context, socket string) (*answer, error) {
	client, err := control.Dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	a := new(answer)
	if err := client.Call(ctx, control.MethodStatus, nil, &a.Status); err != nil {
		return nil, err
	}
	if err := client.Call(ctx, control.MethodMetrics, nil, &a.Metrics); err != nil {
		return nil, err
	}
	return a, nil
}
