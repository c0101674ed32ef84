package kmsg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseReadsARecord(t *testing.T) {
	for _, test := range []struct {
		name, give string
		want       Record
		ok         bool
	}{
		{name: "empty"},
		{name: "no semicolon", give: "6,1,2,-"},
		{name: "no number", give: "x,1,2,-;text\n"},
		{name: "a negative number", give: "6,-1,2,-;text\n"},
		{name: "too few fields", give: "6,1;text\n"},
		{name: "a time that is no number", give: "6,1,x,-;text\n"},
		{name: "a line of the kernel's own", give: "3,812,7089822,-;hello: Unknown symbol foo (err -2)\n", ok: true,
			want: Record{Level: 3, Seq: 812, Time: 7089822 * time.Microsecond, Text: []byte("hello: Unknown symbol foo (err -2)")}},
		{name: "a facility, a caller and a semicolon in the text", give: "30,1,0,c,caller=T1;a;b\n", ok: true,
			want: Record{Level: 6, Seq: 1, Text: []byte("a;b")}},
		{name: "a line of a device", ok: true,
			give: "4,9,1,-;e100 0000:01:00.0: Direct firmware load\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n",
			want: Record{Level: 4, Seq: 9, Time: time.Microsecond, Text: []byte("e100 0000:01:00.0: Direct firmware load"),
				Device: []byte("+pci:0000:01:00.0")}},
		{name: "cut off within its properties", give: "4,9,1,-;t\n SUBSYSTEM=pci\n DEVICE=+pci:0000", ok: true,
			want: Record{Level: 4, Seq: 9, Time: time.Microsecond, Text: []byte("t"), Device: []byte("+pci:0000")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := Parse([]byte(test.give))
			if ok != test.ok {
				t.Fatalf("ok is %v, want %v", ok, test.ok)
			}
			if diff := cmp.Diff(test.want, got); ok && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARecordNamesAModuleAsAWholeWord(t *testing.T) {
	for _, test := range []struct {
		text, module string
		want         bool
	}{
		{"", "sd_mod", false},
		{"anything", "", false},
		{"e1000e: Intel(R) PRO/1000", "e1000", false},
		{"hdparm: about sd_mod2", "sd_mod", false},
		{"RIP: 0010:cleanup+0x1/0x2 [sd_mod]", "sd_mod", true},
		{"usbcore: registered new interface driver usb-storage", "usb_storage", true},
		{"usb_storage: unknown parameter", "usb_storage", true},
		{"e1000e: e1000 is something else", "e1000", true},
	} {
		if got := (Record{Text: []byte(test.text)}).Names(test.module); got != test.want {
			t.Errorf("%q names %q: %v, want %v", test.text, test.module, got, test.want)
		}
	}
}

func TestFirmwareThatIsMissingIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		"":                                    "",
		"Direct firmware load for a/b failed": "",
		"Direct firmware load for a/b failed with error -12":                          "",
		"e100 0000:01:00.0: Direct firmware load for e100/d.bin failed with error -2": "e100/d.bin",
	} {
		if got := firmware([]byte(line)); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// A fakeLog writes records as the kernel does, one a read.
type fakeLog struct {
	t   *testing.T
	end int
	seq int
}

func newFake(t *testing.T) (*fakeLog, *Log) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := &Log{fd: ends[0]}
	t.Cleanup(func() { l.Close(); unix.Close(ends[1]) })
	return &fakeLog{t: t, end: ends[1]}, l
}

func (f *fakeLog) write(level int, text string, properties ...string) {
	f.t.Helper()
	record := fmt.Sprintf("%d,%d,0,-;%s\n", level, f.seq, text)
	for _, p := range properties {
		record += " " + p + "\n"
	}
	f.seq++
	if _, err := unix.Write(f.end, []byte(record)); err != nil {
		f.t.Fatal(err)
	}
}

func TestALogTellsAboutALoadWhatWasSaidSinceItBegan(t *testing.T) {
	kernel, log := newFake(t)
	kernel.write(6, "hello: of an earlier load")
	since := log.Now()
	kernel.write(6, "other: something else")
	kernel.write(3, "hello: `x' invalid for parameter `n'")
	kernel.write(6, "hello 0000:01:00.0: it is mine", "SUBSYSTEM=pci", "DEVICE=+pci:0000:01:00.0")
	kernel.write(6, "pci 0000:01:00.0: BAR 0", "SUBSYSTEM=pci", "DEVICE=+pci:0000:01:00.0")
	kernel.write(1, "BUG: kernel NULL pointer dereference")
	kernel.write(6, "Modules linked in: hello(+) other")

	named := []string{"hello: `x' invalid for parameter `n'", "hello 0000:01:00.0: it is mine"}
	if diff := cmp.Diff(named, log.About(Question{Module: "hello", Since: since})); diff != "" {
		t.Error("a load that went well:", diff)
	}
	want := append(named, "BUG: kernel NULL pointer dereference")
	if diff := cmp.Diff(want, log.About(Question{Module: "hello", Since: since, Failed: true})); diff != "" {
		t.Error("a load that failed:", diff)
	}
	if diff := cmp.Diff([]string{"hello 0000:01:00.0: it is mine"}, log.About(Question{Bus: "pci", Device: "0000:01:00.0"})); diff != "" {
		t.Error("a device:", diff)
	}
}

func TestLinesThatNameNobodyCountIfALoadFailedAndThereAreNoOthers(t *testing.T) {
	kernel, log := newFake(t)
	kernel.write(5, "before")
	since := log.Now()
	kernel.write(5, "Loading of unsigned module is rejected")
	kernel.write(5, "usb 1-1: new device", "DEVICE=+usb:1-1")
	kernel.write(5, "ACPI: bus type USB registered")
	if lines := log.About(Question{Module: "hello", Since: since}); lines != nil {
		t.Errorf("of a load that went well: %q", lines)
	}
	want := []string{"Loading of unsigned module is rejected"}
	if diff := cmp.Diff(want, log.About(Question{Module: "hello", Since: since, Failed: true})); diff != "" {
		t.Error(diff)
	}
}

// An oops is longer than what is kept, and names the module in its middle.
func TestTheBeginningOfAnOopsIsToldHoweverLongItIs(t *testing.T) {
	kernel, log := newFake(t)
	since := log.Now()
	kernel.write(1, "BUG: kernel NULL pointer dereference, address: 0000000000000008")
	for range kept / 2 {
		kernel.write(4, "registers")
	}
	kernel.write(4, "RIP: 0010:hello_init+0x5/0x1000 [hello]")
	for range kept - 1 {
		kernel.write(4, "Call Trace")
	}
	want := []string{"BUG: kernel NULL pointer dereference, address: 0000000000000008", "RIP: 0010:hello_init+0x5/0x1000 [hello]"}
	if diff := cmp.Diff(want, log.About(Question{Module: "hello", Since: since, Failed: true})); diff != "" {
		t.Error(diff)
	}
	if lines := log.About(Question{Module: "hello", Since: log.Now(), Failed: true}); lines != nil {
		t.Errorf("of the next load: %q", lines)
	}
}

func TestALogIsBoundedInLinesAndBytes(t *testing.T) {
	kernel, log := newFake(t)
	log.Now()
	for range 3 * kept {
		kernel.write(6, "hello: "+strings.Repeat("x", 1000))
		log.Now()
	}
	lines := log.About(Question{Module: "hello"})
	if len(lines) != told {
		t.Errorf("%d lines, want %d", len(lines), told)
	}
	for _, line := range lines {
		if len(line) != longest+len("...") || !strings.HasSuffix(line, "...") {
			t.Errorf("%d bytes: %s", len(line), line)
		}
	}
	log.Release()
	if lines := log.About(Question{Module: "hello"}); lines != nil {
		t.Errorf("after Release there are %d lines", len(lines))
	}
}

// A driver that never stops talking must not keep the reader for ever.
func TestAnEndlessLogIsNotReadToItsEnd(t *testing.T) {
	kernel, log := newFake(t)
	if err := unix.SetNonblock(kernel.end, false); err != nil {
		t.Fatal(err)
	}
	reading, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for seq := 0; ; seq++ {
			select {
			case <-reading:
				return
			default:
				_, _ = unix.Write(kernel.end, fmt.Appendf(nil, "4,%d,0,-;chatter: and another thing\n", seq))
			}
		}
	}()
	// The kernel has written before each read: only the bound ends them.
	wait := func() {
		for n := 0; n < 1; { // a signal interrupts it
			n, _ = unix.Poll([]unix.PollFd{{Fd: int32(log.fd), Events: unix.POLLIN}}, -1)
		}
	}
	wait()
	records := 0
	each(log.fd, make([]byte, readSize), func(Record) { records++; wait() })
	close(reading)
	each(log.fd, make([]byte, readSize), func(Record) {}) // so that the writer finds room
	<-ended
	if records != atOnce {
		t.Errorf("%d records are read at once, want %d", records, atOnce)
	}
}

func TestNewIsWhatWasWrittenSinceTheLogWasReadLast(t *testing.T) {
	kernel, log := newFake(t)
	kernel.write(6, "before")
	log.Now()
	long := strings.Repeat("x", 2*readSize)
	kernel.write(6, long)
	kernel.write(6, "after")
	var said []string
	hear := func(r Record) { said = append(said, string(r.Text)) }
	log.New(hear)
	log.New(hear)
	if diff := cmp.Diff([]string{long, "after"}, said); diff != "" {
		t.Error(diff)
	}
}

func TestFollowWaitsForWhatIsWrittenNext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kmsg")
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	kernel, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said, ended := make(chan string), make(chan error)
	go func() { ended <- Follow(ctx, file, func(r Record) { said <- string(r.Text) }) }()
	for i := range 3 {
		if _, err := fmt.Fprintf(kernel, "6,%d,0,-;line %d\n", i, i); err != nil {
			t.Fatal(err)
		}
		if got, want := <-said, fmt.Sprintf("line %d", i); got != want {
			t.Errorf("it hands over %q, want %q", got, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error("its end is no error:", err)
	}
	if err := Follow(t.Context(), filepath.Join(t.TempDir(), "none"), nil); err == nil || !strings.Contains(err.Error(), "/none: no such file") {
		t.Errorf("no file: %v", err)
	}
}

func TestNoLogIsAnEmptyOne(t *testing.T) {
	var log *Log
	log.Release()
	if lines := log.About(Question{Module: "hello", Since: log.Now(), Failed: true}); lines != nil || log.Close() != nil {
		t.Errorf("it says %q", lines)
	}
}

func TestOpenSaysWhichFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "kmsg")
	if _, err := Open(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("no file: %v", err)
	}
}

func TestMissingFirmwareIsRememberedByDevice(t *testing.T) {
	kernel, log := newFake(t)
	for i := range 2 * keptMissed {
		kernel.write(4, fmt.Sprintf("wifi 0000:02:00.0: Direct firmware load for wifi-%d.ucode failed with error -2", i), "DEVICE=+pci:0000:02:00.0")
		log.Now()
	}
	for range 2 {
		kernel.write(4, "lan 0000:01:00.0: Direct firmware load for lan/a.bin failed with error -2", "DEVICE=+pci:0000:01:00.0")
	}
	kernel.write(4, "cpu: Direct firmware load for nobody failed with error -2")
	if diff := cmp.Diff([]string{"lan/a.bin"}, log.Missing("pci", "0000:01:00.0")); diff != "" {
		t.Error(diff)
	}
	log.Release()
	if got := log.Missing("pci", "0000:02:00.0"); len(got) != keptMissed-1 || got[len(got)-1] != fmt.Sprintf("wifi-%d.ucode", 2*keptMissed-1) {
		t.Errorf("of many: %q", got)
	}
	if got := log.Missing("usb", "0000:01:00.0"); got != nil {
		t.Errorf("of another bus: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("6,1,2,-;text\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n"))
	f.Add([]byte("30,18446744073709551615,0,c,caller=T1;\\x0a;b\n"))
	f.Add([]byte(";"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := Parse(b)
		if !ok {
			return
		}
		if r.Level < 0 || r.Level > 7 || strings.Contains(string(r.Text), "\n") {
			t.Errorf("%+v", r)
		}
		r.Names("a")
		r.Is("pci", "x")
	})
}
