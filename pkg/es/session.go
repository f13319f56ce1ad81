package es

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// session is one connection, from the moment somebody wants it until it breaks.
//
// The official client reconnects by itself, but not in a way that a process can
// live with for months: it leaves the old connection open, its calls do not heed
// their context while it looks for a server, it gives up for good after a number
// of attempts, and closing it under a call panics. So each connection gets a
// client of its own, calls reach it only once it has found a server, and it is
// closed when its last call has ended.
type session struct {
	ready chan struct{} // closed when client can be used
	gone  chan struct{} // closed when the connection broke, or the store was closed
	tried chan struct{} // closed when the first attempt to connect has ended, either way

	mu      sync.Mutex
	client  *esdb.Client // set before ready is closed
	calls   int
	retired bool
}

// errClient says that the client panicked, as it does on answers it does not know.
var errClient = errors.New("client panicked")

// session returns the current one, and begins to connect when there is none.
func (s *Store) session() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil, errClosed
	}
	if s.current == nil {
		s.current = &session{ready: make(chan struct{}), gone: make(chan struct{}), tried: make(chan struct{})}
		go s.connect(s.current)
	}
	return s.current, nil
}

func (s *Store) lastProblem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// longestPause is how long a server that came back may stay unnoticed.
const longestPause = time.Second

// connect looks for a server until it has found one or the store is closed. It
// is the only goroutine that does, however many calls wait.
func (s *Store) connect(session *session) {
	pause := 25 * time.Millisecond
	tried := sync.OnceFunc(func() { close(session.tried) })
	for {
		client, err := s.dial()
		s.mu.Lock()
		s.problem = nil
		if err != nil {
			s.problem = unavailable(err)
		}
		s.mu.Unlock()
		if err == nil {
			session.open(client)
			tried()
			return
		}
		tried()
		if s.wait(context.Background(), pause) != nil {
			return // closed
		}
		pause = min(2*pause, longestPause)
	}
}

// dial returns a client that has found a server.
func (s *Store) dial() (*esdb.Client, error) {
	// A client that may try once tells that there is no server. The one that
	// is used must never give up: calls that are inside it when its connection
	// breaks would hang for good, as nobody reads any more what they send it.
	//
	// The price is that it cannot be stopped, should the server go away between
	// the two steps and never come back: neither Close nor a context reaches the
	// loop in which it looks for a server, and it takes no dialer and no
	// connection of ours that could be closed. Then one goroutine of this package
	// and two of the client's are left until the server is back, however often
	// the store is used, and also after it was closed. They then end.
	if err := s.probe(); err != nil {
		return nil, err
	}
	config := s.config
	config.MaxDiscoverAttempts = math.MaxInt
	client, err := esdb.NewClient(&config)
	if err != nil {
		return nil, err
	}
	if _, err := client.GetServerVersion(); err != nil {
		_ = client.Close() // it never returns an error
		return nil, err
	}
	return client, nil
}

func (s *Store) probe() error {
	config := s.config
	config.MaxDiscoverAttempts, config.DiscoveryInterval = 1, 1
	client, err := esdb.NewClient(&config)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // it never returns an error
	_, err = client.GetServerVersion()
	return err
}

// firstAttempt waits until it is known whether there is a server to connect to.
func (c *session) firstAttempt(ctx context.Context) error {
	select {
	case <-c.tried:
		return nil
	case <-c.gone:
		return errClosed
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	}
}

func (c *session) open(client *esdb.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = client
	close(c.ready)
	c.closeIfUnused()
}

// retire keeps new calls away; the client is closed when the last one left.
func (c *session) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return
	}
	c.retired = true
	close(c.gone)
	c.closeIfUnused()
}

// enter begins a use, unless the session is retired; leave ends it.
func (c *session) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		return false
	}
	c.calls++
	return true
}

// hold begins a further use, by one who is inside already.
func (c *session) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
}

func (c *session) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
	c.closeIfUnused()
}

func (c *session) closeIfUnused() {
	if c.retired && c.calls == 0 && c.client != nil {
		_ = c.client.Close() // it never returns an error
	}
}

// replace makes the next call connect anew.
func (s *Store) replace(broken *session) {
	s.mu.Lock()
	if s.current == broken && !s.isClosed() {
		s.current = nil
	}
	s.mu.Unlock()
	broken.retire()
}

// connected waits for a session and enters it; the caller leaves it.
func (s *Store) connected(ctx context.Context) (*session, error) {
	for {
		session, err := s.session()
		if err != nil {
			return nil, err
		}
		select {
		case <-session.ready:
			if session.enter() {
				return session, nil
			}
			s.replace(session)
		case <-session.gone:
		case <-ctx.Done():
			if problem := s.lastProblem(); problem != nil {
				return nil, fmt.Errorf("%w: %w", problem, context.Cause(ctx))
			}
			return nil, unavailable(context.Cause(ctx))
		}
	}
}

// call runs fn with a client that has a connection. It returns when fn does,
// when ctx ends, when the connection turns out to be broken, or when the store
// is closed, whichever comes first; the context of fn ends then, too.
func call[T any](ctx context.Context, s *Store, fn func(context.Context, *esdb.Client) (T, error)) (T, error) {
	session, err := s.connected(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer session.leave()
	return callOn(ctx, s, session, fn)
}

// callOn is call on a session that the caller has entered.
func callOn[T any](
	ctx context.Context, s *Store, session *session, fn func(context.Context, *esdb.Client) (T, error),
) (T, error) {
	type result struct {
		value T
		err   error
	}
	inner, cancel := context.WithCancel(ctx)
	done := make(chan result, 1)
	session.hold() // for the goroutine, which may outlast this call
	go func() {
		defer session.leave()
		defer cancel()
		value, err := guarded(inner, session.client, fn)
		broken, classified := classify(err)
		if broken && inner.Err() == nil {
			s.replace(session)
		}
		done <- result{value, classified}
	}()
	var none T
	select {
	case r := <-done:
		if ctx.Err() != nil && r.err != nil {
			return none, unavailable(context.Cause(ctx))
		}
		return r.value, r.err
	case <-ctx.Done():
		cancel()
		return none, unavailable(context.Cause(ctx))
	case <-session.gone:
		cancel()
		if s.isClosed() {
			return none, errClosed
		}
		return none, errLost
	}
}

// guarded turns a panic of the client into an error: it has several, for
// answers that it does not expect.
func guarded[T any](
	ctx context.Context, client *esdb.Client, fn func(context.Context, *esdb.Client) (T, error),
) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errClient, p)
		}
	}()
	return fn(ctx, client)
}
