package control

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestListenRefuses(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, address string)
		is      error
		says    string
	}{
		{"an address where a daemon answers, and says which", func(t *testing.T, address string) {
			mustListen(t, address)
		}, unix.EADDRINUSE, fmt.Sprintf("by kmodd, process %d; stop it with", os.Getpid())},
		{"to remove a file that is no socket", func(t *testing.T, address string) {
			if err := os.WriteFile(address, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, unix.EADDRINUSE, "not a socket; move it away"},
		{"a directory that can't be made", func(t *testing.T, address string) {
			dir := filepath.Dir(address)
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, unix.ENOTDIR, "not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := filepath.Join(shortDir(t), "sub", "io.kmodd")
			if err := os.Mkdir(filepath.Dir(address), 0o755); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, address)
			_, err := Listen(address)
			if !errors.Is(err, tt.is) || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("Listen gave %q, want %v and %q", err, tt.is, tt.says)
			}
		})
	}
}

func TestListenLetsEveryUserConnect(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	address := filepath.Join(shortDir(t), "run", "kmodd", "io.kmodd")
	mustListen(t, address)
	for path, want := range map[string]fs.FileMode{
		filepath.Dir(address): fs.ModeDir | 0o755,
		address:               fs.ModeSocket | 0o666,
		address + ".lock":     0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", filepath.Base(path), info.Mode(), want)
		}
	}
}

func TestListenAfterADaemonThatWasKilled(t *testing.T) {
	address := filepath.Join(shortDir(t), "io.kmodd")
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), "CONTROL_TEST_CHILD=listen", "CONTROL_TEST_ADDRESS="+address)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "listening\n" {
		t.Fatalf("the first daemon said %q, %v", line, err)
	}
	if _, err := Listen(address); !errors.Is(err, unix.EADDRINUSE) ||
		!strings.Contains(err.Error(), fmt.Sprintf("process %d;", child.Process.Pid)) {
		t.Errorf("beside a living daemon Listen gave %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the first daemon was not killed")
	}
	if _, err := os.Stat(address); err != nil {
		t.Fatalf("no socket was left behind: %v", err)
	}
	mustListen(t, address)
}

func TestListenTogetherHasOneWinner(t *testing.T) {
	address := filepath.Join(shortDir(t), "io.kmodd")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	var winners atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			l, err := Listen(address)
			switch {
			case err == nil:
				winners.Add(1)
				t.Cleanup(func() { l.Close() })
			case !errors.Is(err, unix.EADDRINUSE):
				t.Errorf("a loser was told %v", err)
			}
		})
	}
	all.Wait()
	if n := winners.Load(); n != 1 {
		t.Errorf("%d daemons listen", n)
	}
}

// shortDir is a temporary directory that every user may look into. A socket's
// path has to fit into 108 bytes (unix(7)), which t.TempDir uses up easily.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustListen(t *testing.T, address string) *net.UnixListener {
	t.Helper()
	l, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Somebody cleans up below /run, and a second daemon starts: the first one's end
// must not take the second one's socket away.
func TestADaemonRemovesItsOwnSocketOnly(t *testing.T) {
	first, address := serve(t, answers{StatusRequest{}: Status{}})
	if err := os.Remove(address); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	own, err := os.Stat(address)
	if err != nil {
		t.Fatal(err)
	}
	stale, err := os.Stat(filepath.Dir(address))
	if err != nil {
		t.Fatal(err)
	}
	removeOwn(first.Listener.Addr().String(), stale)
	if _, err := os.Stat(address); err != nil {
		t.Errorf("the other daemon's socket has gone: %v", err)
	}
	removeOwn(address, own)
	if _, err := os.Stat(address); !os.IsNotExist(err) {
		t.Errorf("its own socket is still there: %v", err)
	}
}
