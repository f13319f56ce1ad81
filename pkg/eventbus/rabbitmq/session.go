package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// session is one connection from its opening to its loss. What belongs to it
// (channels, delivery tags, confirms) is worthless in any other session.
type session struct {
	conn    *amqp.Connection
	url     string
	wire    *wire
	version version
	gone    context.Context // ends, with the reason as its cause, when the connection is lost
	lose    context.CancelCauseFunc
	gate    *gate
	pipe    *pipe // on the publisher's session
	watch   sync.WaitGroup
}

func newSession(conn *amqp.Connection, url string, w *wire, blocked *stopwatch) *session {
	s := &session{conn: conn, url: url, wire: w, version: versionOf(conn), gate: newGate(blocked)}
	s.gone, s.lose = context.WithCancelCause(context.Background())
	// Both channels are always read until the library closes them; one that is
	// not read would stop the connection.
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocking := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	s.watch.Go(func() {
		reason := errors.New("connection closed")
		if err, ok := <-closed; ok {
			reason = err
		}
		s.lose(reason)
	})
	s.watch.Go(func() {
		for b := range blocking {
			if b.Active {
				s.gate.block(b.Reason)
			} else {
				s.gate.open()
			}
		}
	})
	return s
}

// fail gives the session up.
func (s *session) fail(why error) { s.lose(why) }

// close takes leave of the broker, after which everything written before has
// been processed. A session that is lost or was given up is just cut.
func (s *session) close() {
	if s.gone.Err() == nil {
		cut := time.AfterFunc(closeTimeout, func() { _ = s.wire.Close() })
		_ = s.conn.CloseDeadline(time.Now().Add(closeTimeout)) // if it fails, the cut below does it
		cut.Stop()
	}
	s.lose(errors.New("connection closed"))
	_ = s.wire.Close()
	s.watch.Wait()
	s.gate.open() // nothing is blocked where nothing is connected
}

// answerTimeout bounds how long the broker may leave a request without an
// answer. Some never get one: a quorum queue that has lost its leader takes
// requests and says nothing.
const answerTimeout = 20 * time.Second

var errNoAnswer = fmt.Errorf("no answer from the broker for %s", answerTimeout)

// answered runs a request and gives up waiting when ctx ends or the broker does
// not answer. The library cannot take a request back, so one that was given up
// stays behind with its channel, harms nothing else, and is undone if it is
// answered after all. It ends with the session at the latest.
func answered[T any](ctx context.Context, request func() (T, error), undo func(T)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errNoAnswer)
	defer cancel()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome)
	go func() {
		value, err := request()
		select {
		case done <- outcome{value, err}:
		case <-ctx.Done():
			if err == nil {
				undo(value)
			}
		}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// onChannel runs fn on a channel of its own: a mistake, which in AMQP closes
// the channel, then hits nothing else.
func (s *session) onChannel(ctx context.Context, fn func(*amqp.Channel) error) error {
	_, err := answered(ctx, func() (struct{}, error) {
		ch, err := s.conn.Channel()
		if err != nil {
			return struct{}{}, fmt.Errorf("open channel: %w", err)
		}
		err = fn(ch)
		_ = ch.Close() // closed already if fn failed
		return struct{}{}, err
	}, func(struct{}) {})
	return err
}

// version of the broker: some queue arguments would be accepted and ignored by
// older ones.
type version struct{ major, minor int }

func versionOf(conn *amqp.Connection) (v version) {
	if text, ok := conn.Properties["version"].(string); ok {
		_, _ = fmt.Sscanf(text, "%d.%d", &v.major, &v.minor) // unreadable is the oldest
	}
	return v
}

func (v version) atLeast(major, minor int) bool {
	return v.major > major || v.major == major && v.minor >= minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }
