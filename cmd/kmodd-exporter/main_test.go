package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// asProgram has this test program be the exporter.
const asProgram = "KMODD_EXPORTER_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func TestWrongUsageIsRefusedOnOneLineWithTheCure(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name string
		args []string
		exit int
		says string
	}{
		{"an argument", []string{"start"}, 2, `unexpected argument "start"; kmodd-exporter -help`},
		{"an unknown option", []string{"-web.listen-address", ":1"}, 2, "-web.listen-address"},
		{"no address", []string{"-listen", "here"}, 1, "answer on here: "},
		{"an address that is taken", []string{"-listen", taken.Addr().String()}, 1, "address already in use; give another address with -listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), tt.args, &stdout, &stderr); got != tt.exit {
				t.Errorf("exit status %d, want %d", got, tt.exit)
			}
			first, _, _ := strings.Cut(stderr.String(), "\n")
			if !strings.Contains(first, tt.says) {
				t.Errorf("it says %q, want %q in it", first, tt.says)
			}
		})
	}
}

func TestTheVersionIsPrinted(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), []string{"-version"}, &stdout, &stderr); got != 0 || stdout.String() != "kmodd-exporter unknown\n" {
		t.Errorf("exit status %d, output %q", got, stdout.String())
	}
}

func TestItEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	if got := run(ctx, []string{"-listen", "127.0.0.1:0"}, nil, &stderr); got != 0 {
		t.Errorf("exit status %d: %s", got, &stderr)
	}
}

// TestASocketThatIsPassedIsAnsweredOn starts the program as a service manager
// does, which listens itself and passes the socket as descriptor 3.
func TestASocketThatIsPassedIsAnsweredOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var stderr bytes.Buffer
	// The shell's process becomes the program: LISTEN_PID has to be its own.
	program := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" -socket /nonexistent -listen 192.0.2.1:1`, os.Args[0])
	program.Env = append(os.Environ(), asProgram+"=1")
	program.ExtraFiles = []*os.File{socket}
	program.Stderr = &stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	// The request waits in the socket's queue until somebody accepts it.
	if got := get(t, "http://"+l.Addr().String()+"/metrics"); !strings.Contains(got, "\nkmodd_up 0\n") {
		t.Errorf("it answers %q", got)
	}
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("it ended with %v: %s", err, &stderr)
	}
}

// Others' sockets are not taken for a web server's.
func TestASocketThatDoesNotListenIsRefused(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	socket, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	program := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0"`, os.Args[0])
	program.Env = append(os.Environ(), asProgram+"=1")
	program.ExtraFiles = []*os.File{socket}
	out, err := program.CombinedOutput()
	if program.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "does not listen; give ListenStream=") {
		t.Errorf("it ended with %v: %s", err, out)
	}
}
