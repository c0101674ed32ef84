package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/daemon/core"
	"github.com/kmodd/kmodd/daemon/handover"
	"github.com/kmodd/kmodd/daemon/kernel"
)

// errRootMoved ends a daemon that was left behind by a switch_root(8): process 1
// has another root file system now, and this one sees neither /sys nor modules.
var errRootMoved = errors.New("the system has moved to another root file system")

// How long a daemon that was left behind is given to notice, and how often it is
// asked for meanwhile. It takes mountsSettle to.
const (
	leavingTime  = 3 * time.Second
	leavingPause = 50 * time.Millisecond
)

// listen takes the address. Another daemon that was left behind in an older root
// is about to end, which is waited for.
func listen(address string) (*net.UnixListener, error) {
	for end := time.Now().Add(leavingTime); ; time.Sleep(leavingPause) {
		l, err := control.Listen(address)
		other, ok := errors.AsType[*control.InUseError](err)
		if !ok || time.Now().After(end) || !hasOtherRoot(other.PID) {
			return l, err
		}
	}
}

// hasOtherRoot says whether a process is known to have another root directory
// than this one.
func hasOtherRoot(pid int) bool {
	own, err1 := handover.RootID("/")
	other, err2 := handover.RootID(fmt.Sprintf("/proc/%d/root", pid))
	return errors.Join(err1, err2) == nil && own != other
}

// A succession is about the daemon before this one, and the one after it.
type succession struct {
	dir        string // of the state, which is the socket's
	boot, root string
	// proc keeps /proc in sight when the root has moved. It is nil if the root of
	// process 1 can't be looked at, or was another one from the beginning.
	proc   *os.File
	noted  bool // when the first daemon of this boot began is written down
	system kernel.System
	asked  *string // whom the kernel asked before our helper, nil if this daemon does not know
	log    *slog.Logger
}

func newSuccession(dir string, log *slog.Logger) *succession {
	s := &succession{dir: dir, log: log}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without one nothing is inherited
	s.boot = strings.TrimSpace(string(boot))
	s.root, _ = handover.RootID("/") // that can always be asked
	if system, err := handover.RootID("/proc/1/root"); err == nil && system == s.root {
		s.proc, _ = os.Open("/proc")
	}
	return s
}

// first returns when the first daemon of this boot began, 0 if that is not known. Where
// it can't be written down yet, it is when the next file system is mounted.
func (s *succession) first(now time.Duration) time.Duration {
	first, err := handover.First(s.dir, s.boot, now)
	s.noted = err == nil
	return first
}

// take returns what the daemon before this one has left.
func (s *succession) take() core.Inherited {
	journal, err := handover.ReadJournal(s.dir, s.boot)
	if err != nil {
		s.log.Warn("it is not known which devices an earlier kmodd has kept drivers from, and which modules are pinned", "error", err)
	}
	if len(journal.Asleep) == 0 { // then the kernel is to ask nobody here, whatever was before
		if err := s.helper(false); err != nil {
			s.log.Warn("the kernel asks kmodd for modules, though nothing sleeps", "error", err)
		}
	}
	return core.Inherited{Modules: s.takeModules(), Persist: core.Persist(journal)}
}

// takeModules returns what it had put in.
func (s *succession) takeModules() []control.Module {
	state, err := handover.Take(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("what an earlier kmodd has left is of no use: what it loaded counts as somebody else's", "error", err)
		return nil
	}
	inherited := state.Inherited(s.boot, s.root)
	if len(inherited) > 0 {
		s.log.Info("taking over from an earlier kmodd", "modules", len(inherited), "pinned", s.root != state.Root)
	}
	return inherited
}

// persist writes down what counts however this daemon ends.
func (s *succession) persist(p core.Persist) error {
	err := handover.State{Boot: s.boot, Root: s.root, Journal: handover.Journal(p)}.WriteJournal(s.dir)
	if err != nil {
		s.log.Warn("can't write down which devices drivers are kept from, and which modules are pinned: the next kmodd won't know", "error", err)
	}
	return err
}

// helper has the kernel ask the daemon's helper, or again the one before it, whose
// name is kept in a file: a daemon that is killed leaves it to the next. Where it can't
// be, this daemon remembers it.
func (s *succession) helper(on bool) error {
	if on {
		return s.system.Ask(func(before string) error {
			if _, again := handover.ReadHelper(s.dir); again {
				s.log.Info("somebody else has set whom the kernel asks for modules, while drivers sleep: it asks kmodd again, which passes on what does not sleep", "program", before)
			}
			s.asked = &before
			return handover.WriteHelper(s.dir, before)
		})
	}
	before, known := handover.ReadHelper(s.dir)
	switch {
	case known:
	case s.asked != nil:
		before = *s.asked
	default:
		before = usualHelper
	}
	if err := s.system.AskAgain(before); err != nil {
		return err
	}
	s.asked = nil
	if err := os.Remove(filepath.Join(s.dir, handover.HelperFile)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// usualHelper is the kernel's own choice (CONFIG_MODPROBE_PATH).
const usualHelper = "/sbin/modprobe"

// moved tells whether process 1 has gone to another root since the start.
func (s *succession) moved() bool {
	if s.proc == nil {
		return false
	}
	var system unix.Stat_t
	if err := unix.Fstatat(int(s.proc.Fd()), "1/root", &system, 0); err != nil {
		return false
	}
	return fmt.Sprintf("%d:%d", system.Dev, system.Ino) != s.root
}

// leave writes down, for the daemon after this one, what this one has put in. It
// is the last that this process does: when the root has moved it goes where the
// other one will look, and its working directory with it.
func (s *succession) leave(modules []control.Module) {
	dir := s.dir
	if s.moved() {
		if err := s.proc.Chdir(); err != nil {
			s.log.Warn("can't leave word for the next kmodd", "error", err)
			return
		}
		dir = filepath.Join("1/root", s.dir)
	}
	if err := (handover.State{Boot: s.boot, Root: s.root, Modules: modules}).Leave(dir); err != nil {
		s.log.Warn("can't leave word for the next kmodd: what was loaded counts as somebody else's", "error", err)
	}
}
