package kernel_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/daemon/kernel/fake"
)

// The contract is what kmodd relies on when it loads and unloads. Its cases run
// against the fake, and with -modules against the kernel of the machine they
// run on (root, and one that may be spoiled: a virtual one):
//
//	go test -c -o contract ./daemon/kernel
//	./contract -test.run Contract -test.v -modules /lib/modules/$(uname -r)
var modules = flag.String("modules", "", "run the contract on this machine's kernel, with the modules of this directory")

// A subject is a kernel under test. Files are named without their directory.
type subject interface {
	// insert loads files at the same time and returns the answers in that order.
	insert(t *testing.T, options string, files ...string) []syscall.Errno
	remove(t *testing.T, module string) syscall.Errno
	state(module string) kernel.State
	param(module, param string) string
}

// The modules of the contract are ones that need no hardware and that Debian's
// kernels have: brd (memory disks, with parameters), zram, which needs
// zsmalloc, raid6_pq, whose init measures for a while, and padlock-aes, whose
// init refuses all processors but VIA's.
func contractSubject(t *testing.T) subject {
	if *modules != "" {
		return newReal(t, *modules)
	}
	return &faked{k: fake.New(
		fake.Module{Name: "brd", Numbers: []string{"rd_nr", "rd_size"}, Init: time.Millisecond},
		fake.Module{Name: "brd", File: "brd-cut.ko", Refused: unix.ENOEXEC},
		fake.Module{Name: "brd", File: "brd-text.ko", Refused: unix.ENOEXEC},
		fake.Module{Name: "brd", File: "brd-other.ko", Refused: unix.ENOEXEC},
		fake.Module{Name: "brd", File: "brd-damaged.ko", Refused: unix.EKEYREJECTED},
		fake.Module{Name: "brd", File: "brd-unpacked.ko", Numbers: []string{"rd_nr", "rd_size"}},
		fake.Module{Name: "zsmalloc"},
		fake.Module{Name: "zram", Needs: []string{"zsmalloc"}},
		fake.Module{Name: "raid6_pq", Init: time.Second},
		fake.Module{Name: "padlock_aes", File: "padlock-aes.ko", Result: unix.ENODEV},
	)}
}

func TestContract(t *testing.T) {
	const ok syscall.Errno = 0
	type step struct {
		insert  string // a file, or several that go in at the same time
		options string
		remove  string
		answers []syscall.Errno // in any order
		live    string          // modules that are live afterwards
		absent  string
		param   string // module.parameter=value afterwards
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a file cut short is refused", []step{
			{insert: "brd-cut.ko", answers: []syscall.Errno{unix.ENOEXEC}, absent: "brd"}}},
		{"a file that is no ELF file is refused", []step{
			{insert: "brd-text.ko", answers: []syscall.Errno{unix.ENOEXEC}, absent: "brd"}}},
		{"a file for another kernel is refused", []step{
			{insert: "brd-other.ko", answers: []syscall.Errno{unix.ENOEXEC}, absent: "brd"}}},
		{"a signed file that was damaged is refused, enforced or not", []step{
			{insert: "brd-damaged.ko", answers: []syscall.Errno{unix.EKEYREJECTED}, absent: "brd"}}},
		{"a parameter's bad value is refused and the module does not stay", []step{
			{insert: "brd.ko", options: "rd_nr=many", answers: []syscall.Errno{unix.EINVAL}, absent: "brd"}}},
		{"a module does not go in without what it needs", []step{
			{insert: "zram.ko", answers: []syscall.Errno{unix.ENOENT}, absent: "zram zsmalloc"}}},
		{"what init returns is the answer and the module does not stay", []step{
			{insert: "padlock-aes.ko", answers: []syscall.Errno{unix.ENODEV}, absent: "padlock_aes"}}},
		{"a module that is not in can't be taken out", []step{
			{remove: "brd", answers: []syscall.Errno{unix.ENOENT}, absent: "brd"}}},
		{"a module goes in with its parameters, is there, and goes out", []step{
			{insert: "brd.ko", options: "rd_nr=1 rd_size=1024", answers: []syscall.Errno{ok}, live: "brd", param: "brd.rd_nr=1"},
			{remove: "brd", answers: []syscall.Errno{ok}, absent: "brd"}}},
		{"an image in memory goes in like a file", []step{
			{insert: "brd-unpacked.ko", options: "rd_nr=1", answers: []syscall.Errno{ok}, live: "brd", param: "brd.rd_nr=1"},
			{insert: "brd-unpacked.ko", answers: []syscall.Errno{unix.EEXIST}, live: "brd"},
			{remove: "brd", answers: []syscall.Errno{ok}, absent: "brd"}}},
		{"the last value of a parameter counts", []step{
			{insert: "brd.ko", options: "rd_nr=1 rd_nr=2", answers: []syscall.Errno{ok}, param: "brd.rd_nr=2"},
			{remove: "brd", answers: []syscall.Errno{ok}}}},
		{"an unknown parameter does not hinder", []step{
			{insert: "brd.ko", options: "rd_nr=1 kmodd_unknown=1", answers: []syscall.Errno{ok}, live: "brd"},
			{remove: "brd", answers: []syscall.Errno{ok}}}},
		{"the second load of a live module says so and leaves it alone", []step{
			{insert: "brd.ko", options: "rd_nr=1", answers: []syscall.Errno{ok}},
			{insert: "brd.ko", options: "rd_nr=2", answers: []syscall.Errno{unix.EEXIST}, live: "brd", param: "brd.rd_nr=1"},
			{remove: "brd", answers: []syscall.Errno{ok}}}},
		{"of two loads at the same time one puts it in, the other waits and says so", []step{
			{insert: "raid6_pq.ko raid6_pq.ko", answers: []syscall.Errno{ok, unix.EEXIST}, live: "raid6_pq"},
			{remove: "raid6_pq", answers: []syscall.Errno{ok}}}},
		{"a module that another needs stays until that is out", []step{
			{insert: "zsmalloc.ko", answers: []syscall.Errno{ok}},
			{insert: "zram.ko", answers: []syscall.Errno{ok}, live: "zram zsmalloc"},
			{remove: "zsmalloc", answers: []syscall.Errno{unix.EAGAIN}, live: "zsmalloc"},
			{remove: "zram", answers: []syscall.Errno{ok}, absent: "zram", live: "zsmalloc"},
			{remove: "zsmalloc", answers: []syscall.Errno{ok}, absent: "zsmalloc"}}},
	}
	k := contractSubject(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, s := range tt.steps {
				var got []syscall.Errno
				if s.insert != "" {
					got = k.insert(t, s.options, strings.Fields(s.insert)...)
				} else {
					got = []syscall.Errno{k.remove(t, s.remove)}
				}
				if slices.Sort(got); !slices.Equal(got, s.answers) {
					t.Errorf("step %d: answers %q, want %q", i, got, s.answers)
				}
				checkStates(t, i, k, s.live, kernel.Live)
				checkStates(t, i, k, s.absent, kernel.Absent)
				checkParam(t, i, k, s.param)
			}
		})
	}
}

func checkStates(t *testing.T, step int, k subject, modules string, want kernel.State) {
	for m := range strings.FieldsSeq(modules) {
		if state := k.state(m); state != want {
			t.Errorf("step %d: %s is %s, want %s", step, m, state, want)
		}
	}
}

// checkParam takes "module.parameter=value", or nothing.
func checkParam(t *testing.T, step int, k subject, setting string) {
	name, want, _ := strings.Cut(setting, "=")
	module, param, _ := strings.Cut(name, ".")
	if value := k.param(module, param); setting != "" && value != want {
		t.Errorf("step %d: %s is %q, want %q", step, name, value, want)
	}
}

// faked is the fake in its own time.
type faked struct {
	k   *fake.Kernel
	now time.Duration
}

func (f *faked) insert(t *testing.T, options string, files ...string) []syscall.Errno {
	answers := make([]syscall.Errno, len(files))
	calls := make(map[fake.Call]int)
	for i, file := range files {
		calls[f.k.Insert(f.now, file, options)] = i
	}
	f.drain(func(e fake.Event) { answers[calls[e.Call]] = e.Errno })
	return answers
}

func (f *faked) remove(t *testing.T, module string) (answer syscall.Errno) {
	f.k.Remove(f.now, module)
	f.drain(func(e fake.Event) { answer = e.Errno })
	return answer
}

// drain lets everything happen that will.
func (f *faked) drain(done func(fake.Event)) {
	for at, more := f.k.Next(); more; at, more = f.k.Next() {
		f.now = at
		for _, e := range f.k.Advance(at) {
			if e.What == fake.Done {
				done(e)
			}
		}
	}
}

func (f *faked) state(module string) kernel.State  { return f.k.State(module) }
func (f *faked) param(module, param string) string { return f.k.Param(module, param) }

// real is the kernel of this machine.
type real struct {
	kernel.System
	files map[string]string
}

func newReal(t *testing.T, dir string) *real {
	r := &real{files: make(map[string]string)}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		r.files[filepath.Base(path)] = path
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	brd, err := os.ReadFile(r.files["brd.ko"])
	if err != nil {
		t.Fatal(err)
	}
	r.make(t, "brd-cut.ko", brd[:len(brd)/2])
	r.make(t, "brd-text.ko", []byte(strings.Repeat("not a module\n", 100)))
	r.make(t, "brd-other.ko", unsigned(other(brd)))
	r.make(t, "brd-damaged.ko", other(brd))
	r.files["brd-unpacked.ko"] = r.files["brd.ko"]
	return r
}

// make writes a module file that there is none of.
func (r *real) make(t *testing.T, name string, content []byte) {
	r.files[name] = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(r.files[name], content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// other is the module as if it were built for a kernel of another kind. The
// release alone would not do: with CONFIG_MODVERSIONS it is not compared.
func other(image []byte) []byte {
	image = slices.Clone(image)
	magic := bytes.Index(image, []byte("\x00vermagic="))
	copy(image[magic+bytes.Index(image[magic:], []byte(" SMP ")):], " ONE ")
	return image
}

// unsigned cuts off what scripts/sign-file appends: the signature, 12 bytes of
// which the last four are its length, and a line.
func unsigned(image []byte) []byte {
	info, signed := bytes.CutSuffix(image, []byte("~Module signature appended~\n"))
	if !signed {
		return image
	}
	return info[:len(info)-12-int(binary.BigEndian.Uint32(info[len(info)-4:]))]
}

func (r *real) insert(t *testing.T, options string, files ...string) []syscall.Errno {
	answers := make([]syscall.Errno, len(files))
	var all sync.WaitGroup
	for i, file := range files {
		all.Go(func() { answers[i] = r.insertOne(t, options, file) })
	}
	all.Wait()
	return answers
}

func (r *real) insertOne(t *testing.T, options, file string) syscall.Errno {
	m := kernel.Module{Name: "contract", File: r.files[file], Options: options}
	if strings.HasSuffix(file, "-unpacked.ko") {
		image, err := os.ReadFile(m.File)
		if err != nil {
			t.Error(err)
		}
		return r.answer(t, r.LoadImage(m, image))
	}
	f, err := os.Open(m.File)
	if err != nil {
		t.Error(err)
		return unix.EIO
	}
	defer f.Close()
	return r.answer(t, r.Load(m, f, kernel.Plain))
}

func (r *real) remove(t *testing.T, module string) syscall.Errno {
	return r.answer(t, r.Unload(module))
}

// answer takes an error apart, and shows its words to those who run this.
func (r *real) answer(t *testing.T, err error) (answer syscall.Errno) {
	if err != nil {
		t.Log(err)
		errors.As(err, &answer)
	}
	return answer
}

func (r *real) state(module string) kernel.State { return r.State(module) }

func (r *real) param(module, param string) string {
	value, _ := os.ReadFile("/sys/module/" + module + "/parameters/" + param)
	return strings.TrimSpace(string(value))
}
