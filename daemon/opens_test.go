package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kmodd/kmodd/daemon/core"
)

func TestOneOpenOrCloseOfANodeIsToldEachTimeItIsAskedFor(t *testing.T) {
	told := make(chan core.Event, 8)
	w := openWatch{dev: t.TempDir(), post: func(e core.Event) { told <- e }, log: silent}
	defer w.close()
	node := filepath.Join(w.dev, "video0")
	if err := os.WriteFile(node, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	touch := func() {
		f, err := os.Open(node)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	touch() // nobody has asked
	for range 2 {
		w.watch(core.WatchNodes{Module: "uvcvideo", Names: []string{"gone", "video0"}})
		touch()
		touch()
		select {
		case e := <-told:
			if e != (core.NodeUsed{Module: "uvcvideo"}) {
				t.Errorf("got %+v", e)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is told")
		}
	}
	w.watch(core.WatchNodes{Module: "uvcvideo", Names: []string{"video0"}})
	os.Remove(node)
	w.close()
	close(told) // whatever is told from here on panics
	if e, more := <-told; more {
		t.Errorf("and more: %+v", e)
	}
}
