package sleep

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/worker"
)

func TestWhatBelongsToWhoeverSitsThereDoesSoWhileItSleeps(t *testing.T) {
	s := machine(t, "-- run/udev/data/c81:0 --\nI:123\nG:uaccess\nQ:uaccess\n-- run/udev/data/c81:1 --\nG:uaccess\nQ:uaccess-not\n")
	s.node81(t, "v/video0", 0)
	s.node81(t, "video1", 1)
	link := s.Run + seatFolder + `/v\x2fvideo0.kmodd`
	seat := []kernel.Opening{{Alias: "char-major-81-0", Name: "v/video0"}, {Alias: "char-major-81-1", Name: "video1"}}
	expect := func(when, want string) {
		t.Helper()
		if to, _ := os.Readlink(link); to != want {
			t.Errorf("%s: the link leads to %q, want %q", when, to, want)
		}
		if links, _ := os.ReadDir(s.Run + seatFolder); len(links) > 1 {
			t.Errorf("%s: there are %v", when, links)
		}
	}
	for range 2 {
		s.tend(t, worker.Cover, seat...)
		expect("it goes", s.dev("v/video0"))
	}
	must(t, os.RemoveAll(s.Run+"/udev/data"))
	s.tend(t, worker.Restore, seat...)
	expect("it has gone", s.dev("v/video0"))
	awake := s
	awake.served = func(kernel.Node) string { return "/devices/d/video0" }
	awake.tend(t, worker.Restore, seat...)
	expect("it is back", "")

	must(t, os.Symlink(s.dev("v/video0"), link))
	s.tend(t, worker.Uncover, seat...)
	expect("it was pulled out", "")
	must(t, os.Symlink(s.dev("v/video0"), link))
	awake.tend(t, worker.Uncover, seat...)
	expect("it was pulled out and came back", "")
}

func TestWhatCanNotBeGivenToWhoeverSitsThereDoesNotSleep(t *testing.T) {
	s := machine(t, "-- run/udev/data/c81:0 --\nQ:uaccess\n-- run/udev/static_node-tags --\n")
	s.node81(t, "video0", 0)
	err := s.Tend(worker.Placeholders{How: worker.Cover, Openings: []kernel.Opening{video()}})
	if !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("it says %v", err)
	}
	s.tend(t, worker.Restore, video())
	s.expect(t, "video0")
}
