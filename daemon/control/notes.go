package control

import (
	"context"
	"sync"
)

// queueLength is how many notes wait for a subscriber that does not read:
// some 22 kB, which one local user can have the daemon hold 16 times, and all together 64.
const queueLength = 256

// Notes hands what happens to everybody who listens. The zero value is ready,
// and all of its methods may be called from any goroutine.
type Notes struct {
	// mu protects what follows, and everything in subscribers. It is held for a copy
	// of one note each; a channel per subscriber could drop the newest note
	// only, and the reader would learn of it from the next one, which may
	// never come.
	mu          sync.Mutex
	subscribers map[*Subscription]struct{}
	missed      uint64 // by all of them
}

// Publish hands a note to every subscriber and never waits for one. The
// note's reasons are shared: they must not change any more.
func (n *Notes) Publish(note Note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subscribers {
		s.push(note)
	}
}

// Heard tells whether there is any subscriber.
func (n *Notes) Heard() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.subscribers) > 0
}

// Missed counts the notes that subscribers have lost, those who have left
// included.
func (n *Notes) Missed() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.missed
}

// Subscribe begins to collect notes, until the subscription is closed.
func (n *Notes) Subscribe() *Subscription {
	s := &Subscription{notes: n, wake: make(chan struct{}, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.subscribers == nil {
		n.subscribers = make(map[*Subscription]struct{})
	}
	n.subscribers[s] = struct{}{}
	return s
}

// A Subscription is one listener's queue. When it is full the oldest note is
// lost, and counted.
type Subscription struct {
	notes  *Notes
	wake   chan struct{} // holds one token while there may be something to read
	queue  []Note        // a ring once it has grown to queueLength
	first  int
	missed uint64
}

// push is called with notes.mu held.
func (s *Subscription) push(note Note) {
	if len(s.queue) < queueLength {
		s.queue = append(s.queue, note)
	} else {
		s.queue[s.first] = note
		s.first = (s.first + 1) % queueLength
		s.missed++
		s.notes.missed++
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for notes and returns all there are, oldest first. The first of
// them says how many were lost before it.
func (s *Subscription) Next(ctx context.Context) ([]Note, error) {
	for {
		select {
		case <-s.wake:
			if got := s.take(); got != nil {
				return got, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take empties the queue. It finds nothing when a note came after the token
// for the one before was taken: that note is read already, its token is not.
func (s *Subscription) take() []Note {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	got := append(s.queue[s.first:len(s.queue):len(s.queue)], s.queue[:s.first]...)
	got[0].Missed += s.missed
	s.queue, s.first, s.missed = nil, 0, 0
	return got
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	delete(s.notes.subscribers, s)
}
