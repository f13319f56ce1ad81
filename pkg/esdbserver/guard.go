package esdbserver

import (
	"context"
	"sync"
	"sync/atomic"

	"orderflow/pkg/esdbserver/internal/acl"
)

// guarded does a call that lasts, as long as the caller has the right to it. When the right is lost the context of the call
// ends, and the refusal is what guarded returns: the original server, too, ends a subscription when its reader may no
// longer read. The call asks the guard before everything that it gives away, so that nothing is given that was committed
// after the right was lost.
//
// Who the caller is, and in which groups, was found out when the call began and stays, as in the original server: a user
// who is disabled keeps the subscriptions that run, and gets no others. In an insecure server the guard is nil, which
// works.
func (s *Server) guarded(ctx context.Context, do access, stream string, call func(context.Context, *guard) error) error {
	if s.security == nil {
		return call(ctx, nil)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := &guard{owner: acl.Owner(stream), alarmed: make(chan struct{}, 1)}
	g.authorize = func() error { return s.authorize(ctx, do, stream) }
	s.security.guards.post(g) // before the rights are looked at: no change goes unnoticed
	defer s.security.guards.relieve(g)
	if err := g.authorize(); err != nil {
		return err
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		if g.ended = g.watch(ctx); g.ended != nil {
			cancel(g.ended)
		}
	})
	err := call(ctx, g)
	cancel(nil)
	watching.Wait()
	if err != nil && g.ended != nil {
		err = g.ended
	}
	return err
}

// guard watches over the right of one call.
type guard struct {
	owner     string // the stream whose list governs the right
	authorize func() error
	doubtful  atomic.Bool   // whether lists have changed since the right was looked at
	alarmed   chan struct{} // has room for one signal
	ended     error         // why it ended the call, if it did
}

// check returns the refusal when the caller has lost the right. As long as no list that matters has changed it costs one
// look at a flag.
func (g *guard) check() error {
	if g == nil || !g.doubtful.Load() || !g.doubtful.Swap(false) {
		return nil
	}
	return g.authorize()
}

// watch is for a call that has nothing to give away and would not ask. It returns why the call has to end, and nil when
// that ends by itself.
func (g *guard) watch(ctx context.Context) error {
	for {
		select {
		case <-g.alarmed:
			if err := g.authorize(); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (g *guard) alarm() {
	g.doubtful.Store(true)
	select {
	case g.alarmed <- struct{}{}:
	default: // it has yet to look after the alarm before this one
	}
}

// guards are those on duty, by the stream whose list they go by.
type guards struct {
	mu   sync.Mutex
	duty map[string]map[*guard]struct{}
}

func (g *guards) post(one *guard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.duty == nil {
		g.duty = map[string]map[*guard]struct{}{}
	}
	if g.duty[one.owner] == nil {
		g.duty[one.owner] = map[*guard]struct{}{}
	}
	g.duty[one.owner][one] = struct{}{}
}

func (g *guards) relieve(one *guard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if delete(g.duty[one.owner], one); len(g.duty[one.owner]) == 0 {
		delete(g.duty, one.owner)
	}
}

// alarm tells the guards who go by the list of a stream that it may have changed.
func (g *guards) alarm(owner string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for one := range g.duty[owner] {
		one.alarm()
	}
}

// alarmAll tells everybody.
func (g *guards) alarmAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, some := range g.duty {
		for one := range some {
			one.alarm()
		}
	}
}
