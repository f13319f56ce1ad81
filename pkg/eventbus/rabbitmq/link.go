package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

const (
	firstReconnect = 50 * time.Millisecond
	mostReconnect  = 5 * time.Second
	// stable is how long a session must have lasted for the next reconnect to
	// start again with the shortest pause.
	stable = 2 * time.Second
	// closeTimeout bounds the polite part of closing a connection.
	closeTimeout = 3 * time.Second
)

// link keeps one connection to the broker open, without an end:
//
//	connecting ──> connected ──lost──> pause, growing ──> connecting ...
//
// Each connection is a session of its own; nothing of a lost one is reused.
type link struct {
	bus   *Bus
	role  string // "publisher" or "consumer"
	urls  []string
	setup func(*session) error
	// blocked is how long the broker has blocked the connection, of all sessions.
	blocked stopwatch

	mu      sync.Mutex
	current *session
	err     error         // why there is no session
	changed chan struct{} // closed when current or err changes
}

func newLink(b *Bus, role string, urls []string, setup func(*session) error) *link {
	return &link{
		bus: b, role: role, urls: urls, setup: setup,
		err:     fmt.Errorf("not connected to %s yet", redacted(urls[0])),
		changed: make(chan struct{}),
	}
}

// run connects and reconnects until ctx ends, and then closes the connection.
func (l *link) run(ctx context.Context) {
	defer func() { l.set(nil, eventbus.ErrClosed) }()
	pauses := handover.Pauses(firstReconnect, mostReconnect)
	log := l.bus.log.With("role", l.role)
	again := false
	for attempt := 0; ctx.Err() == nil; attempt++ {
		url := l.urls[attempt%len(l.urls)]
		began := time.Now()
		s, err := l.connect(ctx, url)
		if err == nil {
			if again {
				l.bus.count.Reconnects.Add(1)
			}
			again = true
			log.InfoContext(ctx, "connected", "broker", redacted(url), "version", s.version.String())
			l.set(s, nil)
			select {
			case <-s.gone.Done():
			case <-ctx.Done():
			}
			s.close()
			err = context.Cause(s.gone)
		}
		if ctx.Err() != nil {
			return
		}
		err = fmt.Errorf("no connection to %s: %w", redacted(url), err)
		l.set(nil, err)
		if time.Since(began) > stable {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		log.WarnContext(ctx, "reconnecting", "pause", pause.Round(time.Millisecond), "error", err)
		handover.Pause(ctx, pause)
	}
}

func (l *link) set(s *session, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.err = s, err
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *link) state() (s *session, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.changed, l.err
}

// session waits for a connection. Its error names both why the wait ended and
// why there was no connection.
func (l *link) session(ctx context.Context) (*session, error) {
	for {
		s, changed, err := l.state()
		switch {
		case s != nil && s.gone.Err() == nil:
			return s, nil
		case errors.Is(err, eventbus.ErrClosed):
			return nil, eventbus.ErrClosed
		case err == nil:
			err = errors.New("connection was just lost")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// ready returns nil while there is a connection on which the broker is willing.
func (l *link) ready() error {
	s, _, err := l.state()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", l.role, err)
	case s.gone.Err() != nil:
		return fmt.Errorf("%s: %w", l.role, context.Cause(s.gone))
	case s.gate.reason() != "":
		return fmt.Errorf("%s: the broker blocks publishing: %s", l.role, s.gate.reason())
	}
	return nil
}

// connect dials, shakes hands and prepares the session. All of it ends with ctx.
func (l *link) connect(ctx context.Context, url string) (*session, error) {
	cfg := l.bus.cfg
	var conn *wire
	uncut := func() bool { return true }
	defer func() { uncut() }()
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(cfg.ConnectionName + " " + l.role)
	connection, err := amqp.DialConfig(url, amqp.Config{
		Heartbeat:       cfg.Heartbeat,
		Properties:      properties,
		TLSClientConfig: cfg.TLS.Clone(),
		Dial: func(network, address string) (net.Conn, error) {
			dialled, err := dial(ctx, network, address, cfg.DialTimeout, cfg.WriteTimeout)
			if err != nil {
				return nil, err
			}
			conn = dialled
			// A broker that has fallen silent would hold us until the heartbeats say so.
			uncut = context.AfterFunc(ctx, func() { _ = dialled.Close() })
			return dialled, nil
		},
	})
	if err != nil {
		if conn != nil {
			_ = conn.Close() // the library leaves it open when a handshake fails
		}
		return nil, err
	}
	s := newSession(connection, url, conn, &l.blocked)
	if err := l.setup(s); err != nil {
		s.fail(err)
		s.close()
		return nil, err
	}
	return s, nil
}
