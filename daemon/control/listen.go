package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Listen takes the address, a path, for this daemon: every local user may
// connect to it. It makes the directory if there is none, and removes a socket
// on which nobody answers. If a daemon does, the error is
// an [*InUseError].
//
// [Server.Run] removes the socket when it ends.
func Listen(address string) (*net.UnixListener, error) {
	l, err := listen(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

func listen(address string) (*net.UnixListener, error) {
	if err := makeDirectory(filepath.Dir(address)); err != nil {
		return nil, err
	}
	lock, err := lockFile(address + ".lock")
	if err != nil {
		return nil, err
	}
	defer lock.Close()

	if err := removeStale(address); err != nil {
		return nil, err
	}
	l, err := bind(address)
	switch {
	case errors.Is(err, unix.EADDRINUSE): // though nothing was there a moment ago
		return nil, errChanged
	case err != nil:
		return nil, err
	}
	// bind(2) makes the socket with the umask taken off: say what is meant.
	if err := os.Chmod(address, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// errChanged may go away: what has changed the address wakes up who waits for
// mounts.
var errChanged = errors.New("a file system was mounted there or taken away just now, or it is a link to nowhere")

// backlog is how many clients may wait to be let in. More get EAGAIN.
const backlog = 128

// bind makes the socket. What it returns does not remove the socket when it is
// closed: another daemon may own the path by then.
//
// net.ListenUnix would do as well, but reads the system's limit for the backlog
// into a buffer of 64 kB, which is a daemon's memory for good.
func bind(address string) (*net.UnixListener, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	socket := os.NewFile(uintptr(fd), address)
	defer socket.Close() // the listener has a descriptor of its own
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, err
	}
	l, err := net.FileListener(socket)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}

// removeOwn removes a socket, if it is still the one that own describes.
func removeOwn(address string, own os.FileInfo) {
	if now, err := os.Stat(address); err == nil && own != nil && os.SameFile(own, now) {
		_ = os.Remove(address) // a socket that stays is stale, and no obstacle
	}
}

// makeDirectory makes what every user may look into, whatever the umask. A
// directory that is there already is left as it is.
func makeDirectory(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// lockFile is held while a socket is looked at, removed and made anew, so that
// of two daemons that start together one can't remove the other's. Only root
// can open the file: flock(2) on anything that others can open would let them
// keep the daemon from starting.
//
// It says nothing of whether a daemon runs: that is asked of the socket, for a
// lock can outlive its owner in a process that inherited it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// removeStale removes the socket that a killed daemon left behind. connect(2)
// says ECONNREFUSED for it, but also for a file that is no socket at all.
// net.Dial would do as well, but brings a resolver of host names with it.
func removeStale(address string) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: address, Net: "unix"})
	switch {
	case err == nil:
		defer conn.Close()
		return inUse(conn)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.EAGAIN): // its queue of connections is full
		return fmt.Errorf("%w by a kmodd that is busy; stop it with systemctl stop kmodd", unix.EADDRINUSE)
	case !errors.Is(err, unix.ECONNREFUSED):
		return err
	}
	info, err := os.Lstat(address)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%w by something that is not a socket; move it away", unix.EADDRINUSE)
	}
	return os.Remove(address)
}

// An InUseError says that another daemon answers at an address.
type InUseError struct{ PID int }

var _ error = (*InUseError)(nil)

// Error ends with the cure.
func (e *InUseError) Error() string {
	return fmt.Sprintf("%v by kmodd, process %d; stop it with systemctl stop kmodd or kill %[2]d", unix.EADDRINUSE, e.PID)
}

// Unwrap gives [unix.EADDRINUSE].
func (e *InUseError) Unwrap() error { return unix.EADDRINUSE }

// inUse says who listens at the other end.
func inUse(conn *net.UnixConn) error {
	peer, err := peerOf(conn)
	if err != nil {
		return fmt.Errorf("%w: %w", unix.EADDRINUSE, err)
	}
	return &InUseError{int(peer.Pid)}
}

// peerOf says who is at the other end: of a connection that was accepted, who
// called connect(2), and of one that was dialled, who called listen(2).
func peerOf(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		peer, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, sockErr); err != nil {
		return nil, fmt.Errorf("credentials of the peer: %w", err)
	}
	return peer, nil
}
