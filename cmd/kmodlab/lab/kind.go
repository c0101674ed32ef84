package lab

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/kmodd/kmodd/cmd/kmodlab/debian"
	"github.com/kmodd/kmodd/cmd/kmodlab/qemu"
)

// The root file systems of guests.
const (
	// Plain has the agent as its first process, and nothing runs but the agent.
	Plain = ""
	// Debian has systemd as its first process, and systemd-udevd, which loads
	// modules. kmodd is installed and not switched on.
	Debian = "debian"
	// DebianKmodd is Debian after a boot with kmodd switched on and udevd's
	// loading switched off, as docs/service.md says.
	DebianKmodd = "debian-kmodd"
)

// A kind is what guests that are restored from one template have in common.
type kind struct {
	board *qemu.Board
	root  string
}

// kind is what a guest with these options is.
func (o Options) kind() (kind, error) {
	board, err := qemu.FindBoard(o.Board)
	switch {
	case err != nil:
		return kind{}, err
	case board != qemu.PC && (o.Busy || o.Root != Plain):
		return kind{}, fmt.Errorf("boot %s: only a PC has the devices of a busy one, or systemd", board.About)
	}
	return kind{board, o.Root}, nil
}

// commandLine is the kernel command line of all guests of that kind. The agent
// reads its port from it: one image starts on boards that name their ports
// differently. Not clearing memory at allocation saves a fifth of a PC's boot, and
// not testing its ciphers a quarter of a coldplug.
func (k kind) commandLine() string {
	words := fmt.Sprintf("console=%s lab.port=%s panic=-1 quiet init_on_alloc=0 cryptomgr.notests=1 %s", k.board.Console, k.board.Port, k.board.Words)
	if k.root == DebianKmodd {
		words += " lab.kmodd"
	}
	return strings.TrimSpace(words)
}

// A family is the kinds of guests that start from one image. All boards of an
// architecture are one.
type family struct {
	arch     debian.Architecture
	systemd  bool
	realtime bool
}

// plainPC is the family that most guests are of.
var plainPC = family{arch: debian.AMD64}

// families are all of them.
var families = []family{plainPC, {arch: debian.AMD64, systemd: true}, {arch: debian.AMD64, realtime: true}, {arch: debian.ARM64}, {arch: debian.ARMHF}}

func (k kind) family() family { return family{k.board.Arch, k.root != Plain, k.board.Realtime} }

func (f family) kinds() []kind {
	if f.systemd {
		return []kind{{qemu.PC, Debian}, {qemu.PC, DebianKmodd}}
	}
	var all []kind
	for _, board := range qemu.Boards {
		if board.Arch == f.arch && board.Realtime == f.realtime {
			all = append(all, kind{board, Plain})
		}
	}
	return all
}

// folder is where the cache keeps the family's builds.
func (f family) folder() string {
	switch {
	case f == plainPC:
		return "builds"
	case f.systemd:
		return "builds-debian"
	case f.realtime:
		return "builds-rt"
	default:
		return "builds-" + string(f.arch)
	}
}

// A sibling is a build that is made when it is first asked for.
type sibling struct {
	once  sync.Once
	build *Build
	err   error
}

// siblings are the places for the builds of all families but the first.
func siblings() map[family]*sibling {
	all := make(map[family]*sibling)
	for _, f := range families[1:] {
		all[f] = &sibling{}
	}
	return all
}

// of returns the build that guests of that family start from, of the same
// programs as this one.
func (b *Build) of(ctx context.Context, f family) (*Build, error) {
	if f == b.family {
		return b, nil
	}
	s := b.siblings[f]
	s.once.Do(func() {
		s.build = newBuild(f, b.progress, b.programs)
		s.err = s.build.prepare(ctx)
	})
	return s.build, s.err
}
