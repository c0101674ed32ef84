package control

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNotesTellsASlowReaderWhatItLost(t *testing.T) {
	var notes Notes
	s := notes.Subscribe()
	defer s.Close()
	for i := range queueLength + 10 {
		notes.Publish(Note{At: time.Duration(i)})
	}
	got, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != queueLength {
		t.Errorf("read %d notes, want the newest %d", len(got), queueLength)
	}
	if diff := cmp.Diff(Note{At: 10, Missed: 10}, got[0]); diff != "" {
		t.Errorf("first note (-want +got):\n%s", diff)
	}
	notes.Publish(Note{What: "later"})
	got, err = s.Next(t.Context())
	if diff := cmp.Diff([]Note{{What: "later"}}, got); diff != "" || err != nil {
		t.Errorf("the next read (-want +got):\n%s, error %v", diff, err)
	}
}

func TestNotesNextEndsWithItsContext(t *testing.T) {
	var notes Notes
	s := notes.Subscribe()
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next gave %v, want %v", err, context.Canceled)
	}
}

func TestNotesForgetsWhoHasLeft(t *testing.T) {
	var notes Notes
	notes.Subscribe().Close()
	if n := len(notes.subscribers); n != 0 {
		t.Errorf("%d subscribers are left", n)
	}
}

// What was read and what is said to be missed add up to what was published,
// in order, whenever the reader reads.
func TestNotesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var notes Notes
		s := notes.Subscribe()
		defer s.Close()
		published, seen, read := 0, 0, 0
		for _, burst := range rapid.SliceOfN(rapid.IntRange(1, 3*queueLength), 1, 5).Draw(t, "bursts") {
			for range burst {
				notes.Publish(Note{At: time.Duration(published)})
				published++
			}
			got, err := s.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			read += len(got)
			for _, n := range got {
				seen += int(n.Missed)
				if int(n.At) != seen {
					t.Fatalf("note %d came where %d was due", n.At, seen)
				}
				seen++
			}
		}
		s.Close() // what it missed stays counted
		if missed := int(notes.Missed()); read+missed != published {
			t.Errorf("%d notes were read and %d are said to be missed, of %d", read, missed, published)
		}
		if seen != published {
			t.Errorf("%d notes accounted for, %d published", seen, published)
		}
	})
}

func TestNotesFromManyGoroutines(t *testing.T) {
	const publishers, each = 4, 5000
	var notes Notes
	s := notes.Subscribe()
	defer s.Close()
	var all sync.WaitGroup
	for range publishers {
		all.Go(func() {
			for range each {
				notes.Publish(Note{What: "x"})
			}
		})
	}
	for seen := 0; seen < publishers*each; {
		got, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(got) + int(got[0].Missed)
	}
	all.Wait()
}

func BenchmarkNotesPublish(b *testing.B) {
	var notes Notes
	s := notes.Subscribe() // and never reads
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		notes.Publish(Note{What: "x"})
	}
}
