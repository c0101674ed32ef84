package daemon

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestAnonymousMemoryGrowsByWhatIsTouched(t *testing.T) {
	const size = 8 << 20
	before := anonymous()
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	after := anonymous()
	if err := unix.Munmap(memory); err != nil {
		t.Fatal(err)
	}
	// The kernel counts some dozens of pages late (proc_pid_statm(5)).
	if before == 0 || after < before+size*3/4 {
		t.Errorf("%d bytes, and %d after %d more were touched", before, after, size)
	}
}
