package worker

import "time"

// StartTakes has the pool take it that a worker needs so long to start.
func (p *Pool) StartTakes(startup time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.startup = startup
}
