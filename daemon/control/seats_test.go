package control

import (
	"testing"

	"pgregory.net/rapid"
)

func takeAll(s *seats, uid uint32) (n int) {
	for s.take(uid) {
		n++
	}
	return n
}

func TestSeats(t *testing.T) {
	t.Run("a user has a share", func(t *testing.T) {
		var s seats
		if got := takeAll(&s, 1000); got != userSeats {
			t.Errorf("one user took %d seats, want %d", got, userSeats)
		}
	})
	t.Run("many users together leave root its own", func(t *testing.T) {
		var s seats
		taken := 0
		for uid := uint32(1); uid < 100; uid++ {
			taken += takeAll(&s, uid)
		}
		if taken != othersSeats {
			t.Errorf("users took %d seats, want %d", taken, othersSeats)
		}
		if got := takeAll(&s, 0); got != allSeats-othersSeats {
			t.Errorf("root took %d seats, want %d", got, allSeats-othersSeats)
		}
	})
	t.Run("root has no share", func(t *testing.T) {
		var s seats
		if got := takeAll(&s, 0); got != allSeats {
			t.Errorf("root took %d seats, want %d", got, allSeats)
		}
	})
}

// Whoever comes and goes, nobody keeps a seat that was given back.
func TestSeatsAreGivenBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s seats
		var taken []uint32
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			if len(taken) > 0 && rapid.Bool().Draw(t, "leave") {
				i := rapid.IntRange(0, len(taken)-1).Draw(t, "who")
				s.leave(taken[i])
				taken = append(taken[:i], taken[i+1:]...)
				continue
			}
			uid := rapid.Uint32Range(0, 5).Draw(t, "uid")
			if s.take(uid) {
				taken = append(taken, uid)
			}
		}
		for _, uid := range taken {
			s.leave(uid)
		}
		if s.root != 0 || s.others != 0 || len(s.byUser) != 0 {
			t.Errorf("seats that nobody has are taken: root %d, others %d, by user %v", s.root, s.others, s.byUser)
		}
		if got := takeAll(&s, 7); got != userSeats {
			t.Errorf("a user took %d seats afterwards, want %d", got, userSeats)
		}
	})
}
