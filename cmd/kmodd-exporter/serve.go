package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
)

const (
	// mostScrapes is how many scrapes are answered at a time. Each takes one
	// of the connections that the daemon has for a user.
	mostScrapes = 4
	// requestTime is how long a client may take for the whole of a request.
	requestTime = 5 * time.Second
	// replyTime is how long a scrape may take, the sending of its answer
	// included.
	replyTime = 15 * time.Second
	// idleTime is how long a connection is kept between two scrapes. Prometheus
	// scrapes every minute by default.
	idleTime = 2 * time.Minute
)

// handler answers /metrics, and tells whoever comes without a path of it.
func handler(c prometheus.Collector, log *slog.Logger) http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		MaxRequestsInFlight: mostScrapes,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "kmodd-exporter "+version+": what kmodd counts is at /metrics\n")
	})
	return mux
}

// serve answers on all listeners until the context ends, which is no error, and
// waits for the scrapes that are under way.
func serve(ctx context.Context, h http.Handler, listeners []net.Listener, log *slog.Logger) error {
	server := &http.Server{
		Handler:        h,
		ReadTimeout:    requestTime,
		WriteTimeout:   replyTime,
		IdleTimeout:    idleTime,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		log.Info("answering", "address", l.Addr())
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.Background(), replyTime)
		defer cancel()
		return server.Shutdown(ctx)
	})
	return group.Wait()
}
