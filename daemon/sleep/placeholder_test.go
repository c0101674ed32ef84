package sleep

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

// tend has one thing done and fails if that fails.
func (s System) tend(t *testing.T, how worker.Tending, openings ...kernel.Opening) {
	t.Helper()
	if err := s.Tend(worker.Placeholders{How: how, Openings: openings}); err != nil {
		t.Error(err)
	}
}

// expect compares what is below /dev.
func (s System) expect(t *testing.T, names ...string) {
	t.Helper()
	if diff := cmp.Diff(names, s.names(t)); diff != "" {
		t.Errorf("below /dev (-want +got)\n%s", diff)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	if err := machine(t, "").Tend(worker.Placeholders{How: 9}); err == nil {
		t.Error("it is taken for one")
	}
}

func TestAPlaceholderIsLikeTheNodeInAllButItsMaker(t *testing.T) {
	s := machine(t, "")
	defer unix.Umask(unix.Umask(0o077))
	s.node81(t, "v/video0", 0)
	must(t, unix.Mknod(s.dev("disk"), unix.S_IFBLK, int(unix.Mkdev(8, 0))))
	must(t, os.Chown(s.dev("v/video0"), 7, 44))
	must(t, unix.Chmod(s.dev("v/video0"), 0o4662))
	disk := s.stat(t, "disk")
	attributes := map[string][]byte{"trusted.kmodd": []byte("x\x00y"), "security.kmodd": nil, "system.posix_acl_access": acl(6)}
	for name, value := range attributes {
		if err := unix.Lsetxattr(s.dev("v/video0"), name, value, 0); err != nil {
			t.Logf("%s is not tried, which can't be set here: %v", name, err)
			delete(attributes, name)
		}
	}
	before := s.stat(t, "v/video0")
	s.tend(t, worker.Cover,
		kernel.Opening{Alias: "char-major-81-0", Name: "v/video0"},
		kernel.Opening{Alias: kernel.NetAlias("eth0"), Name: "eth0"},
		kernel.Opening{Alias: "block-major-8-0", Name: "disk"})
	s.expect(t, ".disk.kmodd", "disk", "v/", "v/.video0.kmodd", "v/video0")
	after := s.stat(t, "v/video0")
	if after.Ino == before.Ino || s.stat(t, "disk").Ino == disk.Ino {
		t.Error("it is still the same file")
	}
	if after.Mode != before.Mode || after.Uid != 7 || after.Gid != 44 || after.Rdev != before.Rdev {
		t.Errorf("got %+v, want %+v", after, before)
	}
	if st := s.stat(t, "disk"); st.Mode != disk.Mode || st.Rdev != disk.Rdev {
		t.Errorf("got %+v, want %+v", st, disk)
	}
	for name, want := range attributes {
		value := make([]byte, 100)
		n, err := unix.Lgetxattr(s.dev("v/video0"), name, value)
		if err != nil || string(value[:n]) != string(want) {
			t.Errorf("%s is %q, %v; want %q", name, value[:max(n, 0)], err, want)
		}
	}
	for range 2 { // the kernel's own is back, however often
		s.tend(t, worker.Restore, kernel.Opening{Alias: "char-major-81-0", Name: "v/video0"}, kernel.Opening{Alias: "block-major-8-0", Name: "disk"})
		s.expect(t, "disk", "v/", "v/video0")
		if s.stat(t, "v/video0").Ino != before.Ino || s.stat(t, "disk").Ino != disk.Ino {
			t.Error("they are other files than before")
		}
	}
}

// acl is an access control list that gives user 1000 a permission.
func acl(permission uint16) []byte {
	const none = ^uint32(0)
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag, permission uint16
		id              uint32
	}{{1, 6, none}, {2, permission, 1000}, {4, 6, none}, {0x10, 6, none}, {0x20, 0, none}} {
		b = binary.LittleEndian.AppendUint16(b, entry.tag)
		b = binary.LittleEndian.AppendUint16(b, entry.permission)
		b = binary.LittleEndian.AppendUint32(b, entry.id)
	}
	return b
}

func TestWhoeverOpensANodeFindsOneWhileItIsCovered(t *testing.T) {
	s := machine(t, "")
	s.node81(t, "video0", 0)
	must(t, unix.Chmod(s.dev("video0"), 0o660))
	want := s.stat(t, "video0")
	var done atomic.Bool
	missed := make(chan int)
	go func() {
		bad := 0
		for !done.Load() {
			var st unix.Stat_t
			if unix.Lstat(s.dev("video0"), &st) != nil || st.Mode != want.Mode || st.Rdev != want.Rdev {
				bad++
			}
		}
		missed <- bad
	}()
	for range 200 {
		s.tend(t, worker.Cover, video())
		s.tend(t, worker.Restore, video())
	}
	done.Store(true)
	if bad := <-missed; bad > 0 {
		t.Errorf("%d times it was not the node", bad)
	}
	s.expect(t, "video0")
}

func TestOnlyTheDevicesNodeIsCovered(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T, s System)
		want string
	}{
		{"nothing", func(*testing.T, System) {}, "it is not the node of that device"},
		{"a file", func(t *testing.T, s System) { must(t, os.WriteFile(s.dev("video0"), nil, 0o600)) }, "it is not the node of that device"},
		{"a link to the node", func(t *testing.T, s System) { s.node81(t, "x", 0); must(t, os.Symlink("x", s.dev("video0"))) }, "it is not the node of that device"},
		{"another number", func(t *testing.T, s System) { s.node81(t, "video0", 1) }, "it is not the node of that device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := machine(t, "")
			tt.make(t, s)
			before := s.names(t)
			err := s.Tend(worker.Placeholders{How: worker.Cover, Openings: []kernel.Opening{video()}})
			if err == nil || !strings.Contains(err.Error(), "put a placeholder over "+s.dev("video0")+": ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it says %v", err)
			}
			s.expect(t, before...)
		})
	}
}

func TestNamesOutsideOfDevAreLeftAlone(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../video0", "/video0", "a/../../video0", "v//video0", "v/", "v\xff"} {
		if !isForeign(name) {
			t.Errorf("%q is taken for one below /dev", name)
		}
	}
	s := machine(t, "")
	s.node81(t, "../video0", 0)
	before := s.stat(t, "../video0").Ino
	for _, how := range []worker.Tending{worker.Cover, worker.Restore, worker.Uncover} {
		s.tend(t, how, kernel.Opening{Alias: "char-major-81-0", Name: "../video0", Links: []string{"x"}})
		s.tend(t, how, kernel.Opening{Alias: "char-major-81", Name: "video0"})
	}
	s.tend(t, worker.Restore, video("../x", "/x", "x/../../y"))
	s.expect(t)
	if s.stat(t, "../video0").Ino != before {
		t.Error("it was replaced")
	}
}

// What a worker that was killed has left does not stand in the way.
func TestAStaleTwinIsReplaced(t *testing.T) {
	s := machine(t, "-- dev/.video0.kmodd --\n-- dev/.video0.kmodd-new --\n")
	s.node81(t, "video0", 0)
	own := s.stat(t, "video0").Ino
	s.tend(t, worker.Cover, video())
	s.expect(t, ".video0.kmodd", "video0")
	twin := s.stat(t, "video0").Ino
	s.tend(t, worker.Cover, video())
	if twin == own || s.stat(t, "video0").Ino != twin || s.stat(t, ".video0.kmodd").Ino != own {
		t.Error("it is covered twice")
	}
	s.tend(t, worker.Uncover, video())
	s.expect(t)
	must(t, os.WriteFile(s.dev(".video0.kmodd"), nil, 0o600))
	s.tend(t, worker.Uncover, video())
	s.expect(t)
}

func TestLinksAreMadeAgainAndGoWithTheirFolders(t *testing.T) {
	s := machine(t, "-- links --\ndev/v4l/by-id/taken -> ../../video9\n")
	s.node81(t, "video0", 0)
	s.node81(t, "snd/other", 5)
	openings := []kernel.Opening{
		video("camera", "v4l/by-id/camera", "v4l/by-id/taken", "v4l/by-path/a/b"),
		{Alias: "char-major-81-5", Name: "snd/other", Links: []string{"snd/by-id/x", "other"}},
	}
	linked := []string{
		"camera -> video0", "other -> snd/other", "snd/", "snd/by-id/", "snd/by-id/x -> ../other", "snd/other",
		"v4l/", "v4l/by-id/", "v4l/by-id/camera -> ../../video0", "v4l/by-id/taken -> ../../video9",
		"v4l/by-path/", "v4l/by-path/a/", "v4l/by-path/a/b -> ../../../video0", "video0",
	}
	s.tend(t, worker.Restore, openings...)
	s.expect(t, linked...)
	for _, link := range []string{"camera", "v4l/by-id/camera", "v4l/by-path/a/b"} {
		if !s.leads(link, kernel.Node{Name: "video0"}) {
			t.Errorf("%s leads elsewhere", link)
		}
	}
	s.tend(t, worker.Uncover, openings...)
	s.expect(t, "v4l/", "v4l/by-id/", "v4l/by-id/taken -> ../../video9")
}

func TestALinkThatCanNotBeMadeDoesNotKeepBackTheOthers(t *testing.T) {
	s := machine(t, "-- dev/file --\n")
	err := s.Tend(worker.Placeholders{How: worker.Restore, Openings: []kernel.Opening{video("file/x", "y")}})
	if !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("it says %v", err)
	}
	s.expect(t, "file", "y -> video0")
}

// Udevd forgets the device first, and removes its links some time later.
func TestLinksAreMadeWhenUdevdHasRemovedThem(t *testing.T) {
	s := machine(t, "-- run/udev/data/c81:0 --\nS:camera\n-- links --\ndev/camera -> video0\n")
	s.node81(t, "video0", 0)
	steps := make(chan error)
	go func() {
		time.Sleep(50 * time.Millisecond)
		err := os.Remove(s.Run + "/udev/data/c81:0")
		time.Sleep(50 * time.Millisecond)
		steps <- errors.Join(err, os.Remove(s.dev("camera")))
	}()
	began := time.Now()
	s.tend(t, worker.Restore, video("camera"))
	if took := time.Since(began); took > udevTime/2 {
		t.Errorf("it took %v", took)
	}
	must(t, <-steps)
	s.expect(t, "camera -> video0", "video0")
}

func TestThePlaceholderOfADeviceThatIsBackIsKeptWithItsLinks(t *testing.T) {
	s := machine(t, "-- links --\nsys/dev/char/81:0 -> ../../devices/d/video0\ndev/camera -> video0\n")
	s.node81(t, "video0", 0)
	s.node81(t, "video1", 1)
	before := s.stat(t, "video0").Ino
	gone := kernel.Opening{Alias: "char-major-81-1", Name: "video1"}
	s.tend(t, worker.Uncover, video("camera"), gone)
	s.expect(t, "camera -> video0", "video0")
	if s.stat(t, "video0").Ino != before {
		t.Error("it is another file")
	}
}

func TestTheNodeOfAnotherDeviceIsNotTakenAway(t *testing.T) {
	s := machine(t, "-- links --\ndev/camera -> video0\n")
	s.node81(t, "video0", 3)
	s.tend(t, worker.Uncover, video("camera"))
	s.expect(t, "camera -> video0", "video0")
}

// comingBack is a system whose device comes when its placeholder has just been
// taken away.
func comingBack(s System, then func()) System {
	looks := 0
	s.served = func(kernel.Node) string {
		if looks++; looks == 1 {
			return ""
		}
		then()
		return "/devices/d/video0"
	}
	return s
}

func TestADeviceThatComesWhileItsPlaceholderIsTakenAwayHasItsNode(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(t *testing.T, s System)
		mode uint32
	}{
		{"and finds the placeholder", func(*testing.T, System) {}, 0o640},
		{"and gets a node of the kernel's", func(t *testing.T, s System) { s.node81(t, "video0", 0) }, 0o600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := machine(t, "-- links --\ndev/camera -> video0\n")
			s.node81(t, "video0", 0)
			must(t, unix.Chmod(s.dev("video0"), 0o640))
			defer unix.Umask(unix.Umask(0o077))
			s = comingBack(s, func() {
				if _, err := os.Lstat(s.dev("video0")); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("it is still there: %v", err)
				}
				tt.then(t, s)
			})
			s.tend(t, worker.Uncover, video("camera"))
			s.expect(t, "camera -> video0", "video0")
			if got := s.stat(t, "video0").Mode & 0o7777; got != tt.mode {
				t.Errorf("its mode is %o, want %o", got, tt.mode)
			}
		})
	}
}

// A worker that was killed before the twin was at its place.
func TestANodeWithTwoNamesIsCoveredAndRestored(t *testing.T) {
	s := machine(t, "")
	s.node81(t, "video0", 0)
	own := s.stat(t, "video0").Ino
	must(t, os.Link(s.dev("video0"), s.dev(".video0.kmodd")))
	s.tend(t, worker.Restore, video())
	s.expect(t, "video0")
	must(t, os.Link(s.dev("video0"), s.dev(".video0.kmodd")))
	s.tend(t, worker.Cover, video())
	if s.stat(t, "video0").Ino == own || s.stat(t, ".video0.kmodd").Ino != own {
		t.Error("it is not covered")
	}
	s.tend(t, worker.Restore, video())
	if s.expect(t, "video0"); s.stat(t, "video0").Ino != own {
		t.Error("it is another file than before")
	}
}

func TestANodeIsMadeForADeviceThatWaits(t *testing.T) {
	s := machine(t, "")
	s.node81(t, "taken", 1)
	camera := video("v4l/by-id/camera")
	camera.Name, camera.Access = "v/video0", "662 7 44"
	s.tend(t, worker.Make, camera)
	s.expect(t, "taken", "v/", "v/video0", "v4l/", "v4l/by-id/", "v4l/by-id/camera -> ../../v/video0")
	if st := s.stat(t, "v/video0"); st.Mode != unix.S_IFCHR|0o662 || st.Uid != 7 || st.Gid != 44 || uint64(st.Rdev) != unix.Mkdev(81, 0) {
		t.Errorf("got %+v", st)
	}
	for _, tt := range []struct {
		name string
		o    kernel.Opening
		says string
	}{
		{"there is one", camera, "file exists"},
		{"there is another", kernel.Opening{Alias: "char-major-81-3", Name: "taken", Access: "600 0 0"}, "file exists"},
		{"nobody knows who may open it", video(), "it is not known who may open it"},
	} {
		err := s.Tend(worker.Placeholders{How: worker.Make, Openings: []kernel.Opening{tt.o}})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: it says %v", tt.name, err)
		}
	}
	s.served = func(kernel.Node) string { return "/devices/other" }
	err := s.Tend(worker.Placeholders{How: worker.Make, Openings: []kernel.Opening{{Alias: "char-major-81-5", Name: "video5", Access: "600 0 0"}}})
	if err == nil || !strings.Contains(err.Error(), "its number is that of /devices/other") {
		t.Errorf("it says %v", err)
	}
	s.served = nil
	s.tend(t, worker.Uncover, camera)
	s.expect(t, "taken", "v/")
}

// Another module has taken the number of a camera that sleeps, and has gone again.
func TestANodeThatWentWithAnotherDeviceIsMadeAgain(t *testing.T) {
	s := machine(t, "")
	camera := video("v4l/by-id/camera")
	camera.Access = "660 7 44"
	s.served = func(kernel.Node) string { return "/devices/other" }
	s.tend(t, worker.Mend, camera)
	s.expect(t)
	s.served = func(kernel.Node) string { return "" }
	s.tend(t, worker.Mend, camera)
	s.expect(t, "v4l/", "v4l/by-id/", "v4l/by-id/camera -> ../../video0", "video0")
	own := s.stat(t, "video0")
	if own.Mode != unix.S_IFCHR|0o660 || own.Uid != 7 || own.Gid != 44 {
		t.Errorf("got %+v", own)
	}
	if s.tend(t, worker.Mend, camera); s.stat(t, "video0").Ino != own.Ino {
		t.Error("one that is there is made again")
	}
}

func TestANodeThatOpensAnotherDeviceIsTakenAway(t *testing.T) {
	for _, how := range []worker.Tending{worker.Restore, worker.Uncover} {
		s := machine(t, "-- sys/devices/other/uevent --\nDEVNAME=video7\n-- links --\nsys/dev/char/81:0 -> ../../devices/other\n")
		s.node81(t, "video0", 0)
		s.tend(t, worker.Cover, video())
		s.tend(t, how, video())
		s.expect(t)
	}
}
