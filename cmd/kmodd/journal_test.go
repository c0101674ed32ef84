package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestTheJournalIsToldTheLevelInFront(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(newJournal(&b, slog.LevelInfo))
	log.Debug("not asked for")
	log.Info("rules")
	log.With("module", "e1000e").Warn("slow")
	log.WithGroup("load").Error("failed", "time", 7)
	want := "<6>msg=rules\n<4>msg=slow module=e1000e\n<3>msg=failed load.time=7\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error("lines (-want +got):\n" + diff)
	}
	b.Reset()
	slog.New(newJournal(&b, slog.LevelDebug)).Debug("seen")
	if b.String() != "<7>msg=seen\n" {
		t.Errorf("of a detail it says %q", &b)
	}
}

func TestTheJournalIsWhatStandardErrorLeadsTo(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	for _, tt := range []struct {
		name, stream string
		to           io.Writer
		want         bool
	}{
		{"no service manager", "", file, false},
		{"a standard error of somebody else's", "1:1", file, false},
		{"no file", own, new(bytes.Buffer), false},
		{"the journal", own, file, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := toJournal(tt.stream, tt.to); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
