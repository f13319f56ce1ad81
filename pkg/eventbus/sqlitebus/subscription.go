package sqlitebus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

const (
	// standBy is how often a consumer that waits for its turn looks whether the
	// active one is gone: a process that was killed changes nothing in the file.
	standBy = 250 * time.Millisecond
	// idleCheck is how often an idle consumer looks without being woken.
	idleCheck = time.Second
	// maxAcking is how many batches may be handled and not yet acknowledged.
	maxAcking = 4
)

// errLeaseLost says that the queue has another consumer by now.
var errLeaseLost = errors.New("another consumer has the queue")

// subscription consumes one queue:
//
//	standing by ──lease──> active ──batch──> handling ──ok──> acknowledging ──┐
//	     ^                   ^  │ lease lost                                  │
//	     └───────────────────│──┘                                             │
//	                         └────────────────────────────────────────────────┘
type subscription struct {
	bus     *Bus
	queue   eventbus.Queue
	handler handover.Handler
	life    *handover.Lifetime
	wakes   chan struct{}

	id     atomic.Int64 // of the queue
	turn   atomic.Int64 // of the lease
	active atomic.Bool
	taken  atomic.Int64 // the last message that was taken in this turn
	handed int64        // messages up to here may have been handed out in an earlier turn
	single int64        // messages up to here are handed out one at a time
	risked int64        // the last one that was; 0 is none
	acking []*job       // the acknowledgements on their way to the disk
	fault  atomic.Pointer[error]
}

func (s *subscription) wakeUp() {
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// Ready returns nil while the consumer is active, or stands by for another
// instance that is; a handler that fails, or a file that cannot be read, is why not.
func (s *subscription) Ready() error {
	if s.life.Stopping().Err() != nil {
		return eventbus.ErrClosed
	}
	if err := s.fault.Load(); err != nil {
		return fmt.Errorf("consume %s from %s: %w", s.queue.Name, s.bus.path, *err)
	}
	return s.handler.Failing()
}

func (s *subscription) Close(ctx context.Context) error {
	if err := s.life.Close(ctx); err != nil {
		return fmt.Errorf("close subscription %s: %w", s.queue.Name, err)
	}
	return nil
}

func (s *subscription) Unsubscribe(ctx context.Context) error {
	if err := s.Close(ctx); err != nil {
		return err
	}
	if err := s.bus.remove(ctx, s.queue, s.id.Load()); err != nil {
		return fmt.Errorf("unsubscribe %s: %w", s.queue.Name, err)
	}
	return nil
}

func (s *subscription) run() {
	defer func() {
		s.bus.mu.Lock()
		delete(s.bus.subscriptions, s)
		s.bus.mu.Unlock()
		s.bus.wake() // one that stands by in this process can take over
		s.life.Finish()
	}()
	stopping := s.life.Stopping()
	pauses := handover.Pauses(20*time.Millisecond, 5*time.Second)
	for stopping.Err() == nil {
		err := s.turnOn(stopping)
		switch {
		case stopping.Err() != nil:
		case err == nil:
			s.fault.Store(nil)
			pauses.Reset()
			s.wait(stopping, standBy)
		default:
			s.fault.Store(&err)
			pause := pauses.NextBackOff()
			s.bus.log.WarnContext(stopping, "consumer starts over", "queue", s.queue.Name, "pause", pause.Round(time.Millisecond), "error", err)
			handover.Pause(stopping, pause)
		}
	}
}

// turnOn tries to become the active consumer and, if it does, consumes until
// the lease is lost or the subscription stops. It returns nil when another
// consumer is active.
func (s *subscription) turnOn(stopping context.Context) error {
	taken, err := s.bus.takeLease(stopping, s)
	if errors.Is(err, errQueueGone) {
		return s.bus.declare(stopping, s, false)
	}
	if err != nil || !taken {
		return err
	}
	s.taken.Store(0)
	s.active.Store(true)
	s.fault.Store(nil)
	err = s.consume(stopping)
	s.active.Store(false)
	// The acknowledgements on their way come first, whatever the haste, so that
	// nothing that was handled is handed out again.
	for len(s.acking) > 0 {
		err = both(err, s.acknowledged(len(s.acking)-1))
	}
	if errors.Is(err, errLeaseLost) {
		s.bus.log.WarnContext(stopping, "consumer stands by", "queue", s.queue.Name, "error", err)
		err = nil
	}
	releasing, cancel := context.WithTimeout(context.WithoutCancel(stopping), leaseTime)
	defer cancel()
	left := release{queue: s.id.Load(), turn: s.turn.Load(), taken: s.taken.Load(), risked: s.risked}
	if failed := s.bus.letGo(releasing, left); failed != nil && !errors.Is(failed, eventbus.ErrClosed) {
		err = both(err, failed)
	}
	s.turn.Store(0)
	if stopping.Err() != nil && err != nil {
		s.bus.log.WarnContext(stopping, "consumer did not end cleanly", "queue", s.queue.Name, "error", err)
	}
	return err
}

// both is errors.Join in one line.
func both(one, other error) error {
	if one == nil || other == nil {
		return errors.Join(one, other)
	}
	return fmt.Errorf("%w; %w", one, other)
}

func (s *subscription) consume(stopping context.Context) error {
	for stopping.Err() == nil {
		b, err := s.fetch(stopping)
		if err != nil {
			return err
		}
		if len(b.messages) == 0 {
			if err := s.acknowledged(0); err != nil {
				return err
			}
			if held, err := s.bus.stillHeld(stopping, s); err != nil || !held {
				return err
			}
			s.wait(stopping, idleCheck)
			continue
		}
		if hand, err := s.mayHand(b); err != nil {
			return err
		} else if !hand {
			continue
		}
		s.taken.Store(b.messages[len(b.messages)-1])
		dead, taken := s.handler.Until(stopping, s.life.Handling(), b.deliveries)
		if !taken {
			return nil
		}
		for _, position := range dead {
			if err := s.bury(b.messages[position], "it is malformed"); err != nil {
				return err
			}
			s.bus.count.Acknowledged.Add(1)
		}
		for _, position := range slices.Backward(dead) {
			b.messages = slices.Delete(b.messages, position, position+1)
		}
		if len(b.messages) == 0 {
			continue // all of them were malformed
		}
		if err := s.acknowledge(b.messages); err != nil {
			return err
		}
	}
	return nil
}

// acknowledge sends the acknowledgement on its way and lets the next batch be
// handled meanwhile. Several may be on their way, so that one transaction takes
// them all; they are few, so that a failure leaves little to be handed out again.
func (s *subscription) acknowledge(messages []int64) error {
	if err := s.acknowledged(maxAcking - 1); err != nil {
		return err
	}
	job := &job{ack: &ack{queue: s.id.Load(), messages: messages, turn: s.turn.Load()}}
	if err := s.bus.writer.start(context.Background(), job); err != nil {
		return err // nobody will ever finish it
	}
	s.acking = append(s.acking, job)
	return nil
}

// acknowledged waits until no more than left acknowledgements are on their way.
func (s *subscription) acknowledged(left int) error {
	for len(s.acking) > left {
		job := s.acking[0]
		s.acking = s.acking[1:]
		<-job.done
		if job.err != nil {
			return fmt.Errorf("acknowledge %d: %w", len(job.ack.messages), job.err)
		}
		s.bus.count.Acknowledged.Add(int64(len(job.ack.messages)))
		if job.ack.stale {
			return errLeaseLost
		}
	}
	return nil
}

func (s *subscription) wait(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.wakes:
	case <-timer.C:
	}
}
