package control

import "sync"

// How many connections there may be: in all, of users other than root, and of
// each of those. What is left over is root's.
const (
	allSeats    = 64
	othersSeats = 48
	userSeats   = 16
)

// seats counts the connections that are open.
type seats struct {
	// mu protects what follows: connections begin in one goroutine and end
	// in their own.
	mu     sync.Mutex
	root   int
	others int
	byUser map[uint32]int
}

// take reports whether the user may have one connection more. If so, it has to
// be given back with leave.
func (s *seats) take(uid uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.root+s.others >= allSeats:
		return false
	case uid == 0:
		s.root++
		return true
	case s.others >= othersSeats || s.byUser[uid] >= userSeats:
		return false
	}
	if s.byUser == nil {
		s.byUser = make(map[uint32]int)
	}
	s.others++
	s.byUser[uid]++
	return true
}

func (s *seats) leave(uid uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if uid == 0 {
		s.root--
		return
	}
	s.others--
	s.byUser[uid]--
	if s.byUser[uid] == 0 {
		delete(s.byUser, uid)
	}
}
