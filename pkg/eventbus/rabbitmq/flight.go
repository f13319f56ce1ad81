package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// flight is one call's part of what is on its way through a pipe:
//
//	           ┌─ confirmed ──────────────> settled
//	sent ──────┼─ returned, a command ────> refused
//	           └─ nack, silence, loss ────> doubtful: sent again in another flight
//	not sent: the call was given up, the pipe is lost, its key is a suspect,
//	          or an earlier one of its subject is doubtful ──> doubtful
type flight struct {
	pipe     *pipe
	messages []outgoing
	next     int    // the first that was not looked at yet
	waiting  []sent // oldest first
	refused  []error
	doubtful []int // in any order
	unknown  int
	careful  map[string]bool // subjects of which only the first is to be sent
	stuck    map[string]bool // subjects of which no more is to be sent
	refusals map[string]bool // subjects with a message that was not taken
	doubt    error           // the first reason for one
}

// sent is a message without an outcome.
type sent struct {
	message      int
	confirmation *amqp.DeferredConfirmation
	at           time.Time
}

func (s sent) done() bool {
	select {
	case <-s.confirmation.Done():
		return true
	default:
		return false
	}
}

// run sends and waits until every message has an outcome. It returns why not.
func (f *flight) run(ctx context.Context) error {
	p := f.pipe
	began := time.Now()
	check := time.NewTicker(max(time.Millisecond, min(p.patient/10, 500*time.Millisecond)))
	defer check.Stop()
	for {
		f.skipStuck()
		if f.next == len(f.messages) && len(f.waiting) == 0 {
			if f.doubt == nil && len(f.doubtful) > 0 {
				return fmt.Errorf("%w: not sent yet", errUnknown)
			}
			return f.doubt
		}
		var slots chan<- struct{}
		var confirmed, opened <-chan struct{}
		gate := p.session.gate.wait()
		if f.next < len(f.messages) {
			select {
			case <-gate:
				slots = p.slots
			default:
				opened = gate
			}
		}
		if len(f.waiting) > 0 {
			confirmed = f.waiting[0].confirmation.Done()
		}
		select {
		case slots <- struct{}{}:
			if err := f.send(); err != nil {
				return err
			}
		case <-confirmed:
			oldest := f.waiting[0]
			f.waiting = f.waiting[1:]
			if err := f.settle(oldest, time.Now()); err != nil {
				return err
			}
		case <-opened:
		case <-check.C:
			if err := f.look(began); err != nil {
				return err
			}
		case <-p.session.gone.Done():
			return fmt.Errorf("%w: %w", errUnknown, context.Cause(p.session.gone))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// skipStuck passes over messages whose key is a suspect, and over those whose
// subject has one that the broker does not take: sent now, they would surely
// overtake it.
func (f *flight) skipStuck() {
	for ; f.next < len(f.messages); f.next++ {
		m := f.messages[f.next]
		if !f.stuck[m.subject] && !f.pipe.suspects.has(m.key) {
			return
		}
		f.stick(m.subject)
		f.doubtful = append(f.doubtful, f.next)
	}
}

// send publishes the next message; the caller has taken the slot for it. The
// library is not given a context: it would look at it before the write only,
// and the write never waits for the network (see wire).
func (f *flight) send() error {
	m := f.messages[f.next]
	confirmation, err := f.pipe.ch.PublishWithDeferredConfirm(m.exchange, m.key, true, false, m.publishing)
	if err != nil {
		<-f.pipe.slots
		f.pipe.session.fail(fmt.Errorf("publish: %w", err))
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	f.waiting = append(f.waiting, sent{f.next, confirmation, time.Now()})
	f.next++
	if f.careful[m.subject] {
		f.stick(m.subject)
	}
	return nil
}

// settle looks at the outcome of a message, which is there and no longer
// among those waited for.
func (f *flight) settle(s sent, now time.Time) error {
	p, m := f.pipe, f.messages[s.message]
	if !s.confirmation.Acked() {
		// A basic.nack and the loss of the channel look the same here.
		if p.session.gone.Err() != nil {
			f.inDoubt(s, nil)
			return fmt.Errorf("%w: %w", errUnknown, context.Cause(p.session.gone))
		}
		p.release(now)
		f.inDoubt(s, fmt.Errorf("%w: the broker did not take %s", errUnknown, m.publishing.MessageId))
		return nil
	}
	returned := p.claimReturn(m.publishing.MessageId)
	p.release(now) // after the claim: what fills the buffer of returns still has its slot
	switch {
	case returned && m.command:
		f.refused = append(f.refused, fmt.Errorf("publish %s %s: %w", m.key, m.publishing.MessageId, eventbus.ErrUnroutable))
	case returned:
		// Events have somewhere to go even if nobody wants them, so part of the
		// topology is gone. A new session declares it again.
		f.inDoubt(s, nil)
		err := fmt.Errorf("exchange %q has lost its queue for unrouted events", m.exchange)
		p.session.fail(err)
		return fmt.Errorf("%w: %w", errUnknown, err)
	case m.exchange != "": // the bus's own records are no events
		p.confirmTime.Observe(now.Sub(s.at).Seconds(), 1)
	}
	return nil
}

// inDoubt keeps a message for another flight. why is nil when everything on its
// way is in doubt: then all of it is sent again, and nothing can overtake.
func (f *flight) inDoubt(s sent, why error) {
	f.doubtful = append(f.doubtful, s.message)
	f.unknown++
	if why == nil {
		return
	}
	subject := f.messages[s.message].subject
	f.stick(subject)
	if f.refusals == nil {
		f.refusals = map[string]bool{}
	}
	f.refusals[subject] = true
	if f.doubt == nil {
		f.doubt = why
	}
}

func (f *flight) stick(subject string) {
	if f.stuck == nil {
		f.stuck = map[string]bool{}
	}
	f.stuck[subject] = true
}

// look settles what was confirmed out of order, so that one event without an
// answer keeps no slots but its own, and decides how long is too long. A broker
// that answers nobody has lost the session; if it answers others, a queue of
// this one message is in trouble, and others need not suffer from it.
func (f *flight) look(began time.Time) error {
	p := f.pipe
	if p.session.gate.reason() != "" {
		p.blocked()
		return nil
	}
	now := time.Now()
	var open []sent
	for i, s := range f.waiting {
		switch {
		case s.done():
			if err := f.settle(s, now); err != nil {
				f.waiting = append(open, f.waiting[i+1:]...)
				return err
			}
		case p.awaited(s.at, now) > p.patient && p.silent(now) < p.patient:
			f.inDoubt(s, fmt.Errorf("%w: no confirm for %s within %s, while there are for others",
				errUnknown, f.messages[s.message].publishing.MessageId, p.patient))
			p.suspects.add(f.messages[s.message].key)
			p.abandon([]sent{s}, f.messages)
		default:
			open = append(open, s)
		}
	}
	f.waiting = open
	// What waits for a slot, waits for a confirm, too.
	if p.silent(now) >= p.patient && p.awaited(began, now) >= p.patient {
		err := fmt.Errorf("%w for %s", errSilent, p.patient)
		p.session.fail(err)
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	return nil
}

// land sorts what became of the messages, after run has ended with err.
func (f *flight) land(err error) landed {
	// Confirms that arrived before a loss count; every one the loss itself
	// resolved says that it did not.
	open := f.waiting
	f.waiting = nil
	var abandoned []sent
	for _, s := range open {
		switch {
		case s.confirmation.Acked():
			if lost := f.settle(s, time.Now()); lost != nil && err == nil {
				err = lost
			}
		default:
			f.inDoubt(s, nil)
			abandoned = append(abandoned, s)
		}
	}
	f.pipe.abandon(abandoned, f.messages)
	slices.Sort(f.doubtful)
	result := landed{refused: f.refused, unknown: f.unknown, careful: f.refusals, err: err}
	for _, i := range f.doubtful {
		result.doubtful = append(result.doubtful, f.messages[i])
	}
	result.doubtful = append(result.doubtful, f.messages[f.next:]...)
	return result
}

// abandon lets the slots of what is still on its way go when its outcome comes.
func (p *pipe) abandon(open []sent, messages []outgoing) {
	if p.session.gone.Err() != nil {
		p.forsake(open, messages)
		return
	}
	if len(open) == 0 {
		return
	}
	go func() {
		for i, s := range open {
			select {
			case <-s.confirmation.Done():
				p.claimReturn(messages[s.message].publishing.MessageId)
				p.release(time.Now())
			case <-p.session.gone.Done():
				p.forsake(open[i:], messages)
				return // and the pipe with it
			}
		}
	}()
}

// forsake looks for suspects among what had no answer when the session was lost:
// each of them may be what kept the broker from answering anybody.
func (p *pipe) forsake(open []sent, messages []outgoing) {
	if !errors.Is(context.Cause(p.session.gone), errSilent) {
		return
	}
	for _, s := range open {
		p.suspects.add(messages[s.message].key)
	}
}
