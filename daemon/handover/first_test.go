package handover

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheFirstDaemonOfABootIsRemembered(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, file string // what is there, "" for what the one before has left
		boot       string
		now, want  time.Duration
	}{
		{"no boot_id", "", "", 5, 0},
		{"an empty file", "\n", "b1", 5, 5},
		{"nonsense", "b1 soon\n", "b1", 5, 5},
		{"a time to come", "b1 6\n", "b1", 5, 5},
		{"another boot", "b0 4\n", "b1", 5, 5},
		{"the next daemon", "", "b1", 900, 5},
		{"the one after it", "", "b1", 901, 5},
		{"the next boot", "", "b2", 7, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.file != "" {
				if err := os.WriteFile(filepath.Join(dir, FirstFile), []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := First(dir, tt.boot, tt.now); got != tt.want || err != nil {
				t.Errorf("%d, %v, want %d", got, err, tt.want)
			}
		})
	}
	if _, err := First(filepath.Join(dir, "nowhere"), "b", 1); err == nil {
		t.Error("nobody says that it could not be written down")
	}
}
