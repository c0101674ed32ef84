package qemu

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pretend answers a monitor's commands with lines: each command takes the next
// of them. An empty line answers nothing; when they are used up, the line ends.
func pretend(t *testing.T, lines ...string) (*Monitor, *strings.Builder, error) {
	t.Helper()
	ours, end, err := socketPair("test")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := net.FileConn(end)
	if err != nil {
		t.Fatal(err)
	}
	end.Close()
	var heard strings.Builder
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer theirs.Close()
		in := bufio.NewScanner(theirs)
		io.WriteString(theirs, `{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}`+"\r\n")
		for _, line := range lines {
			if !in.Scan() {
				return
			}
			heard.WriteString(in.Text() + "\n")
			io.WriteString(theirs, line+"\r\n")
		}
	}()
	m, err := newMonitor(t.Context(), ours)
	t.Cleanup(func() {
		ours.Close()
		<-ended
	})
	return m, &heard, err
}

func TestACommandGetsItsOwnReturn(t *testing.T) {
	m, heard, err := pretend(t,
		`{"return": {}, "id": 1}`,
		`{"event": "RESUME", "data": {}, "timestamp": {"seconds": 1}}`+"\n"+
			`{"return": {"status": "nobody asked"}, "id": 99}`+"\n"+
			`{"return": {"status": "running"}, "id": 2}`)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Status string }
	if err := m.Do(t.Context(), "query-status", map[string]any{"a": 1}, &status); err != nil || status.Status != "running" {
		t.Errorf("status %q, %v; want running", status.Status, err)
	}
	want := `{"arguments":{},"execute":"qmp_capabilities","id":1}` + "\n" + `{"arguments":{"a":1},"execute":"query-status","id":2}` + "\n"
	if diff := cmp.Diff(want, heard.String()); diff != "" {
		t.Error("commands (-want +got):\n" + diff)
	}
}

func TestARefusalCarriesQEMUsWordsAndTheCommand(t *testing.T) {
	m, _, err := pretend(t, `{"return": {}, "id": 1}`,
		`{"id": 2, "error": {"class": "GenericError", "desc": "'nosuch' is not a valid device model name"}}`)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Do(t.Context(), "device_add", nil, nil)
	want := &Error{"device_add", "GenericError", "'nosuch' is not a valid device model name"}
	var got *Error
	if !errors.As(err, &got) || *got != *want {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestQEMUsEndFailsWhatIsUnderWay(t *testing.T) {
	m, _, err := pretend(t, `{"return": {}, "id": 1}`, ``)
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"under way", "afterwards"} {
		if err := m.Do(t.Context(), "quit", nil, nil); err == nil || !strings.Contains(err.Error(), "qemu has ended") {
			t.Errorf("error %v %s, want one that says so", err, when)
		}
	}
	if err := m.Await(t.Context(), 0, func(Event) bool { return false }); err == nil {
		t.Error("no error from waiting for an event")
	}
}

func TestAnEventIsAwaitedAmongThoseAfterTheMark(t *testing.T) {
	m, _, err := pretend(t, `{"return": {}, "id": 1}`,
		`{"event": "DEVICE_DELETED", "data": {"device": "a"}}`+"\n"+`{"return": {}, "id": 2}`,
		`{"event": "DEVICE_DELETED", "data": {"device": "b"}}`+"\n"+`{"return": {}, "id": 3}`, ``)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Do(t.Context(), "device_del", nil, nil); err != nil {
		t.Fatal(err)
	}
	mark := m.Now()
	if err := m.Do(t.Context(), "device_del", nil, nil); err != nil {
		t.Fatal(err)
	}
	var seen []any
	deleted := func(e Event) bool { seen = append(seen, e.Data["device"]); return true }
	if err := m.Await(t.Context(), mark, deleted); err != nil {
		t.Error(err)
	}
	if err := m.Await(t.Context(), 0, deleted); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]any{"b", "a"}, seen); diff != "" {
		t.Error("events (-want +got):\n" + diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Await(ctx, m.Now(), deleted); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestWhatIsNoQMPEndsTheLine(t *testing.T) {
	if _, _, err := pretend(t, `Segmentation fault`); err == nil || !strings.Contains(err.Error(), "qmp_capabilities") {
		t.Errorf("error %v, want one that names the command", err)
	}
}

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		want   []string // in this order, next to each other
	}{
		{"a comma in a path is doubled", Config{Console: "/a,b"}, []string{"-chardev", "file,id=console,path=/a,,b"}},
		{"memory of its own by default", Config{}, []string{"-M", "q35"}},
		{"a restored machine's memory is private", Config{Memory: "/m", Incoming: true}, []string{
			"-M", "q35,memory-backend=ram", "-m", "2048M", "-object", "memory-backend-file,id=ram,size=2048M,mem-path=/m,share=off", "-incoming", "defer"}},
		{"a template's memory goes to its file", Config{Memory: "/m", Keep: true}, []string{
			"-object", "memory-backend-file,id=ram,size=2048M,mem-path=/m,share=on"}},
		{"software emulation is asked for", Config{}, []string{"-accel", "tcg"}},
		{"devices come after what they hang on", Config{Devices: []string{"usb-kbd"}}, []string{
			"-device", "pcie-root-port,id=rp8,chassis=8,addr=0x1e.7,multifunction=on", "-device", "usb-kbd"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Board = PC
			got := tt.config.Args()
			for i := range got {
				if len(got) >= i+len(tt.want) && slices.Equal(got[i:i+len(tt.want)], tt.want) {
					return
				}
			}
			t.Errorf("no %q in %q", tt.want, got)
		})
	}
}

func TestWhatADeviceIsPluggedInWith(t *testing.T) {
	for _, tt := range []struct {
		name   string
		device Device
		want   map[string]any
	}{
		{"a card has no option ROM", Device{ID: "c", Driver: "e1000e"},
			map[string]any{"id": "c", "driver": "e1000e", "bus": "B", "romfile": ""}},
		{"a disk has something behind it", Device{ID: "d", Driver: "usb-storage"},
			map[string]any{"id": "d", "driver": "usb-storage", "bus": "B", "drive": "behind-d"}},
		{"the caller's properties win", Device{ID: "n", Driver: "nvme", Props: map[string]any{"serial": "7"}},
			map[string]any{"id": "n", "driver": "nvme", "bus": "B", "romfile": "", "drive": "behind-n", "serial": "7"}},
		{"a serial adapter has a far side", Device{ID: "s", Driver: "usb-serial"},
			map[string]any{"id": "s", "driver": "usb-serial", "bus": "B", "chardev": "behind-s"}},
		{"a CAN card is on a bus", Device{ID: "k", Driver: "kvaser_pci"},
			map[string]any{"id": "k", "driver": "kvaser_pci", "bus": "B", "romfile": "", "canbus": "behind-k"}},
		{"sound is silent", Device{ID: "a", Driver: "usb-audio"},
			map[string]any{"id": "a", "driver": "usb-audio", "bus": "B", "audiodev": "silence"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.device.properties("B")); diff != "" {
				t.Error("properties (-want +got):\n" + diff)
			}
		})
	}
}

func TestSlotsAreGivenAndGivenBack(t *testing.T) {
	vm := &VM{board: PC, plugged: map[string]slot{}}
	take := func(id, driver string) string {
		bus, err := vm.take(Device{ID: id, Driver: driver})
		if err != nil {
			return "refused"
		}
		return bus
	}
	got := []string{take("a", "e1000e"), take("b", "nvme"), take("k", "usb-kbd"), take("a", "e1000e")}
	if err := vm.release(t.Context(), Device{ID: "a", Driver: "e1000e"}); err != nil {
		t.Fatal(err)
	}
	got = append(got, take("c", "vmxnet3"))
	for _, id := range []string{"3", "4", "5", "6", "7", "8", "one too many"} {
		got = append(got, take(id, "e1000e"))
	}
	want := []string{"rp1", "rp2", "xhci.0", "refused", "rp1", "rp3", "rp4", "rp5", "rp6", "rp7", "rp8", "refused"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("slots (-want +got):\n" + diff)
	}
}
