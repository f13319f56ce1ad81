package sqlitebus

import (
	"context"
	"errors"
	"fmt"
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
)

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
	acking *job         // the acknowledgement on its way to the disk
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
		return fmt.Errorf("consume %s: %w", s.queue.Name, *err)
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
	// The acknowledgement on its way comes first, whatever the haste, so that
	// nothing that was handled is handed out again.
	err = errors.Join(err, s.acknowledged())
	release, cancel := context.WithTimeout(context.WithoutCancel(stopping), leaseTime)
	defer cancel()
	if failed := s.bus.releaseLease(release, s); failed != nil && !errors.Is(failed, eventbus.ErrClosed) {
		err = errors.Join(err, failed)
	}
	s.turn.Store(0)
	if stopping.Err() != nil && err != nil {
		s.bus.log.WarnContext(stopping, "consumer did not end cleanly", "queue", s.queue.Name, "error", err)
	}
	return err
}

func (s *subscription) consume(stopping context.Context) error {
	for stopping.Err() == nil {
		batch, messages, err := s.fetch(stopping)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			if err := s.acknowledged(); err != nil {
				return err
			}
			if held, err := s.bus.stillHeld(stopping, s); err != nil || !held {
				return err
			}
			s.wait(stopping, idleCheck)
			continue
		}
		s.taken.Store(messages[len(messages)-1])
		if !s.handler.Until(stopping, s.life.Handling(), batch) {
			return nil
		}
		if err := s.acknowledge(messages); err != nil {
			return err
		}
	}
	return nil
}

// acknowledge sends the acknowledgement on its way and lets the next batch be
// handled meanwhile; at most one is on its way, so a failed one leaves little
// to be handed out again.
func (s *subscription) acknowledge(messages []int64) error {
	if err := s.acknowledged(); err != nil {
		return err
	}
	s.acking = &job{ack: &ack{queue: s.id.Load(), messages: messages}}
	return s.bus.writer.start(context.Background(), s.acking)
}

// acknowledged waits for the acknowledgement on its way.
func (s *subscription) acknowledged() error {
	job := s.acking
	if job == nil {
		return nil
	}
	s.acking = nil
	<-job.done
	if job.err != nil {
		return fmt.Errorf("acknowledge %d: %w", len(job.ack.messages), job.err)
	}
	s.bus.count.Acknowledged.Add(int64(len(job.ack.messages)))
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
