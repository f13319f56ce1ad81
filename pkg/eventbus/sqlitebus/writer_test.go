package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

// A job that cannot be stored must not take others of its transaction with it.
func TestOneBadJobDoesNotSpoilTheGroup(t *testing.T) {
	b := openBus(t)
	event := func(id string) eventbus.Event {
		return eventbus.Event{ID: id, Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
	}
	good := &job{ctx: t.Context(), done: make(chan struct{}), publish: []eventbus.Event{event("good")}}
	command := event("command")
	command.Type = "order.commands.cancel.v1"
	refused := &job{ctx: t.Context(), done: make(chan struct{}), publish: []eventbus.Event{event("lost"), command}}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	late := &job{ctx: over, done: make(chan struct{}), publish: []eventbus.Event{event("late")}}
	also := &job{ctx: t.Context(), done: make(chan struct{}), publish: []eventbus.Event{event("also")}}
	b.writer.mu.Lock()
	b.writer.pending = append(b.writer.pending, good, refused, late, also)
	b.writer.mu.Unlock()
	b.writer.kick <- struct{}{}
	for _, j := range []*job{good, refused, late, also} {
		<-j.done
	}
	if good.err != nil || also.err != nil || refused.err == nil || late.err == nil {
		t.Errorf("good %v, also %v; refused %v, late %v", good.err, also.err, refused.err, late.err)
	}
	if depth, err := b.Depth(t.Context(), eventbus.Unrouted); depth != 2 || err != nil {
		t.Errorf("%d events stored, %v; want the two good ones", depth, err)
	}
}

// The writer starts over with a new connection after an error of the file.
func TestTheWriterRecoversFromABrokenConnection(t *testing.T) {
	b := openBus(t)
	err := b.writer.do(t.Context(), &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `SELECT * FROM no_such_table`)
		return err
	}})
	if err == nil || b.Ready() == nil {
		t.Fatalf("got %v, and ready %v", err, b.Ready())
	}
	event := eventbus.Event{ID: "1", Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
	if err := b.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("not ready after a publish that went well: %v", err)
	}
}

// While another process holds the file, a caller that tries again and again with
// a short patience must not fill the memory with what it has given up.
func TestWhatWasGivenUpIsForgottenAtOnce(t *testing.T) {
	const callers = 50
	b := openBus(t)
	event := eventbus.Event{ID: "1", Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
	release := HoldFile(t, b.path)
	kept := &job{publish: []eventbus.Event{event}}
	if err := b.writer.start(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	awaitPending(t, b, 0) // the writer has it, and waits for the file

	over, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range callers {
		calls.Go(func() {
			if err := b.Publish(over, event); !errors.Is(err, context.Canceled) {
				t.Errorf("publish: %v", err)
			}
		})
	}
	calls.Go(func() {
		err := b.writer.finish(over, &job{alone: func(context.Context, *sql.Conn) error {
			t.Error("what was given up was done")
			return nil
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("finish: %v", err)
		}
	})
	awaitPending(t, b, callers+1)
	cancel()
	told := make(chan struct{})
	go func() { calls.Wait(); close(told) }()
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Fatal("callers are not told that they have given up")
	}
	if n := pendingJobs(b); n != 0 {
		t.Errorf("%d jobs that nobody waits for are kept", n)
	}

	release()
	<-kept.done
	if kept.err != nil {
		t.Errorf("the one that was not given up: %v", kept.err)
	}
	if depth, err := b.Depth(t.Context(), eventbus.Unrouted); depth != 1 || err != nil {
		t.Errorf("%d events stored, %v; want the one that was not given up", depth, err)
	}
}

func pendingJobs(b *Bus) int {
	b.writer.mu.Lock()
	defer b.writer.mu.Unlock()
	return len(b.writer.pending)
}

func awaitPending(t *testing.T, b *Bus, jobs int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); pendingJobs(b) != jobs; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d jobs are pending, want %d", pendingJobs(b), jobs)
		}
	}
}
