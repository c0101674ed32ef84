package depmod

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestProgressComesAfterAWhileAndGoes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "terminal")
	terminal, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	p := &progress{terminal: terminal, next: time.Now().Add(time.Hour)}
	p.show(1, 3) // too soon
	p.clear()
	p.next = time.Time{}
	p.show(2, 3)
	p.show(3, 3) // too soon after the last
	p.clear()
	p.clear()
	(&progress{}).show(3, 3) // no terminal
	const want = "\rdepmod: 2 of 3 modules read\x1b[K\r\x1b[K"
	if got, err := os.ReadFile(file); string(got) != want || err != nil {
		t.Errorf("%q, want %q, %v", got, want, err)
	}
}
