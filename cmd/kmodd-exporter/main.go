// Kmodd-exporter answers Prometheus with what the daemon kmodd counts. It asks
// the daemon over its control socket, as any user may, once for each scrape, and
// keeps nothing itself; so the daemon has neither a web server nor the memory
// that one takes.
//
// It listens on the sockets that a service manager passes to it
// (sd_listen_fds(3)), else on -listen, which is the loopback interface unless
// somebody says otherwise: there is no access control but who can connect.
// SIGTERM ends it. Exit status: 0 after SIGTERM, 1 after an error, 2 for wrong
// usage.
//
// # When the daemon is away
//
// A scrape is answered with kmodd_up 0 and nothing else, so that old numbers are
// never taken for new ones. The log says so once, and once more when the daemon
// is back.
//
// # Limits
//
// At most four scrapes are answered at a time; more are told 503. The daemon has
// five seconds to answer, half of what Prometheus gives a scrape by default.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/kmodd/kmodd/daemon/control"
)

// version is set by the build.
var version = "unknown"

// defaultListen is outside of 9100 to 9999, which are all taken by other
// exporters. 5663 is what a telephone's keys make of "kmod".
const defaultListen = "127.0.0.1:5663"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// A config is what the command line says.
type config struct{ socket, listen string }

// run is main with what a test can hand in. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	listeners, err := listen(ctx, c.listen)
	if err == nil {
		err = serve(ctx, handler(newCollector(c.socket, log), log), listeners, log)
	}
	if err != nil {
		fmt.Fprintln(stderr, "kmodd-exporter:", err)
		return 1
	}
	return 0
}

// parse reads the command line. After -version it returns flag.ErrHelp.
func parse(args []string, stdout, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("kmodd-exporter", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.socket, "socket", control.Address, "ask the daemon on the Unix socket `path`")
	flags.StringVar(&c.listen, "listen", defaultListen, "answer on this `address`, unless a service manager passes sockets")
	show := flags.Bool("version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if *show {
		fmt.Fprintln(stdout, "kmodd-exporter", version)
		return c, flag.ErrHelp
	}
	if flags.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintf(stderr, "kmodd-exporter: %v; kmodd-exporter -help lists the options\n", err)
		return c, err
	}
	return c, nil
}

// listen returns the sockets that a service manager has passed, or else one on
// address.
func listen(ctx context.Context, address string) ([]net.Listener, error) {
	passed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take the sockets that the service manager passed: %w", err)
	}
	for i, l := range passed {
		if l == nil {
			return nil, fmt.Errorf("socket %d of those that the service manager passed does not listen; give ListenStream= in kmodd-exporter.socket", i)
		}
	}
	if len(passed) > 0 {
		return passed, nil
	}
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("answer on %s: %w; give another address with -listen", address, err)
	}
	return []net.Listener{l}, nil
}
