package esdbservertest

import (
	"sync"
	"time"
)

// clock is the real one until it is set.
type clock struct {
	mu  sync.Mutex
	set bool
	at  time.Time

	wake chan struct{} // tells the store that the time has jumped
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.set {
		return time.Now()
	}
	return c.at
}

// SetClock stops the store's clock at a time. Timeouts that this brings about happen at once.
func (s *Server) SetClock(at time.Time) {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.clock.set, s.clock.at = true, at
	select {
	case s.clock.wake <- struct{}{}:
	default: // it has not looked since the last jump
	}
}

// Advance moves a clock that was set on by d.
func (s *Server) Advance(d time.Duration) { s.SetClock(s.clock.now().Add(d)) }
