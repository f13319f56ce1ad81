package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

const (
	// window bounds how many publishes of a session may be unconfirmed.
	window = 1024
	// slack is room for returns beyond the window. A returned message was in
	// the window, so the buffer is never full, and the library, which would
	// stop reading the connection, never has to wait for us.
	slack = 64
)

// errUnknown says that the broker may or may not have an event.
var errUnknown = errors.New("outcome unknown")

// outgoing is an event as it goes onto the wire.
type outgoing struct {
	exchange   string
	key        string
	publishing amqp.Publishing
	command    bool
}

// pipe is the publishing channel of one session. Any number of callers keep up
// to a window of publishes on their way at the same time.
type pipe struct {
	session *session
	ch      *amqp.Channel
	slots   chan struct{}
	patient time.Duration // with a confirm, while the broker does not block
	// confirmTime is where the bus counts it.
	confirmTime *handover.Durations

	mu       sync.Mutex
	returns  chan amqp.Return
	returned map[string]int // by message id, not yet claimed
}

func openPipe(s *session, patient time.Duration, confirmTime *handover.Durations) (*pipe, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open publishing channel: %w", err)
	}
	if err := ch.Confirm(false); err != nil {
		return nil, fmt.Errorf("ask for confirms: %w", err)
	}
	p := &pipe{
		session: s, ch: ch, patient: patient, confirmTime: confirmTime,
		slots:    make(chan struct{}, window),
		returns:  ch.NotifyReturn(make(chan amqp.Return, window+slack)),
		returned: map[string]int{},
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	s.watch.Go(func() {
		// A publishing channel that the broker closes takes its session along:
		// everything on its way is in doubt, and a fresh start settles it.
		if err, ok := <-closed; ok {
			s.fail(fmt.Errorf("publishing channel: %w", err))
		}
	})
	return p, nil
}

// flight is one call's part of what is on its way.
type flight struct {
	pipe     *pipe
	messages []outgoing
	waiting  []*amqp.DeferredConfirmation // of the messages from settled on
	sent     []time.Time                  // when they were
	settled  int
	refused  []error
}

// publish sends the messages in order and waits for their confirms. settled
// counts how many of the first are certain; of the rest nothing is known, and
// err says why. A command that no queue takes is certain, and named in refused.
func (p *pipe) publish(ctx context.Context, messages []outgoing) (settled int, refused []error, err error) {
	f := &flight{pipe: p, messages: messages, waiting: make([]*amqp.DeferredConfirmation, 0, min(len(messages), window))}
	err = f.run(ctx)
	f.abandon()
	return f.settled, f.refused, err
}

func (f *flight) run(ctx context.Context) error {
	p := f.pipe
	progress := time.NewTimer(p.patient)
	defer progress.Stop()
	for f.settled < len(f.messages) {
		var slots chan<- struct{}
		var confirmed, opened <-chan struct{}
		gate := p.session.gate.wait()
		if f.settled+len(f.waiting) < len(f.messages) {
			select {
			case <-gate:
				slots = p.slots
			default:
				opened = gate
			}
		}
		if len(f.waiting) > 0 {
			confirmed = f.waiting[0].Done()
		}
		select {
		case slots <- struct{}{}:
			if err := f.send(); err != nil {
				return err
			}
		case <-confirmed:
			if err := f.settle(); err != nil {
				return err
			}
			progress.Reset(p.patient)
		case <-opened:
			progress.Reset(p.patient)
		case <-progress.C:
			if p.session.gate.reason() == "" && len(f.waiting) > 0 {
				err := fmt.Errorf("no confirm for %s", p.patient)
				p.session.fail(err)
				return fmt.Errorf("%w: %w", errUnknown, err)
			}
			progress.Reset(p.patient)
		case <-p.session.gone.Done():
			// Confirms that arrived before the loss count; every one the loss
			// itself resolved says that it did not.
			for len(f.waiting) > 0 && f.waiting[0].Acked() {
				if err := f.settle(); err != nil {
					return err
				}
			}
			if f.settled == len(f.messages) {
				return nil
			}
			return fmt.Errorf("%w: %w", errUnknown, context.Cause(p.session.gone))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// send publishes the next message; the caller has taken the slot for it. The
// library is not given a context: it would look at it before the write only,
// and the write never waits for the network (see wire).
func (f *flight) send() error {
	m := f.messages[f.settled+len(f.waiting)]
	confirmation, err := f.pipe.ch.PublishWithDeferredConfirm(m.exchange, m.key, true, false, m.publishing)
	if err != nil {
		<-f.pipe.slots
		f.pipe.session.fail(fmt.Errorf("publish: %w", err))
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	f.waiting = append(f.waiting, confirmation)
	f.sent = append(f.sent, time.Now())
	return nil
}

// settle looks at the outcome of the oldest message, which is there.
func (f *flight) settle() error {
	confirmation, m := f.waiting[0], f.messages[f.settled]
	if !confirmation.Acked() {
		// A basic.nack and the loss of the channel look the same here. The
		// message stays the first in doubt.
		if f.pipe.session.gone.Err() != nil {
			return fmt.Errorf("%w: %w", errUnknown, context.Cause(f.pipe.session.gone))
		}
		return fmt.Errorf("%w: the broker did not take %s", errUnknown, m.publishing.MessageId)
	}
	if m.exchange != "" { // the bus's own records are no events
		f.pipe.confirmTime.Observe(time.Since(f.sent[0]), 1)
	}
	f.waiting, f.sent = f.waiting[1:], f.sent[1:]
	<-f.pipe.slots
	switch returned := f.pipe.claimReturn(m.publishing.MessageId); {
	case returned && m.command:
		f.refused = append(f.refused, fmt.Errorf("publish %s %s: %w", m.key, m.publishing.MessageId, eventbus.ErrUnroutable))
	case returned:
		// Events have somewhere to go even if nobody wants them, so part of the
		// topology is gone. A new session declares it again.
		err := fmt.Errorf("exchange %q has lost its queue for unrouted events", m.exchange)
		f.pipe.session.fail(err)
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	f.settled++
	return nil
}

// abandon lets the slots of what is still on its way go when its outcome comes.
func (f *flight) abandon() {
	if len(f.waiting) == 0 {
		return
	}
	waiting, messages := f.waiting, f.messages[f.settled:]
	go func() {
		for i, confirmation := range waiting {
			select {
			case <-confirmation.Done():
				f.pipe.claimReturn(messages[i].publishing.MessageId)
				<-f.pipe.slots
			case <-f.pipe.session.gone.Done():
				return // and the pipe with it
			}
		}
	}()
}

// claimReturn reports whether the message came back because no queue takes it.
// The broker sends the return before the confirm, and the library's one reader
// has put it into the buffer before it resolved the confirm: after the confirm
// it is there or never comes.
func (p *pipe) claimReturn(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for drained := false; !drained; {
		select {
		case r, ok := <-p.returns:
			if ok {
				p.returned[r.MessageId]++
			}
			drained = !ok
		default:
			drained = true
		}
	}
	if p.returned[id] == 0 {
		return false
	}
	if p.returned[id]--; p.returned[id] == 0 {
		delete(p.returned, id)
	}
	return true
}
