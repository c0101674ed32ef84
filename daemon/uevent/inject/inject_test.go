package inject_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/uevent/inject"
)

func TestSendReportsWhatTheKernelRefuses(t *testing.T) {
	if !inject.Inside() {
		out, err := inject.Command("-test.run=^"+t.Name()+"$", "-test.v").CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Fatalf("in its namespaces: %v\n%s", err, out)
		}
		return
	}
	in, err := inject.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// The kernel's buffer has 2,048 bytes, for its header and SEQNUM too.
	if err := in.Send(make([]byte, 2040)); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a message that is too long: error %v, want EINVAL", err)
	}
	if err := in.Send(inject.Message("add", "/devices/a")); err != nil {
		t.Errorf("a good message, which nobody hears: %v", err)
	}
}
