package es_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
)

var errEnough = errors.New("enough")

// follower collects what a log brings, as a relay or a projection would.
type follower struct {
	mu       sync.Mutex
	events   []es.Recorded
	position es.Position
	caughtUp bool
}

// follow hands the log over from where the follower is until enough says so.
func (f *follower) follow(ctx context.Context, store *es.Store, prefixes []string, enough func() bool) error {
	return store.Follow(ctx, f.at(), prefixes, func(_ context.Context, batch es.Batch) error {
		f.mu.Lock()
		f.events = append(f.events, batch.Events...)
		f.position, f.caughtUp = batch.Position, batch.CaughtUp
		f.mu.Unlock()
		if enough() {
			return errEnough
		}
		return nil
	})
}

func (f *follower) at() es.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events)
}

// seen is stream, revision and place of each event.
func (f *follower) seen() []string {
	var seen []string
	for _, e := range f.events {
		seen = append(seen, fmt.Sprintf("%s@%d@%d", e.Stream, e.Revision, e.Position))
	}
	return seen
}

// expected is what the log holds of streams with a prefix.
func expected(t *testing.T, server *esdbservertest.Server, prefix string) []string {
	t.Helper()
	var all []string
	for _, e := range server.All(t) {
		if len(e.StreamID) > len(prefix) && e.StreamID[:len(prefix)] == prefix {
			all = append(all, fmt.Sprintf("%s@%d@%d", e.StreamID, e.EventNumber, e.Position.Commit))
		}
	}
	return all
}

func TestFollowingBringsTheStreamsAskedForInOrder(t *testing.T) {
	server, store, counters := counters(t)
	for i := range 30 {
		write(t, server, fmt.Sprintf("other-%d", i), "x", `{}`, `{}`)
		write(t, server, fmt.Sprintf("counter-%d", i%3), "added", `{"N":1}`, `{}`)
	}
	f := &follower{}
	if err := f.follow(within(t), store, []string{"counter-"}, func() bool { return f.count() == 30 }); !errors.Is(err, errEnough) {
		t.Fatalf("got %v, want the error of the handler", err)
	}
	if diff := cmp.Diff(expected(t, server, "counter-"), f.seen()); diff != "" {
		t.Error(diff)
	}
	// From a checkpoint on, what is committed later arrives live.
	done := make(chan error)
	go func() {
		done <- f.follow(within(t), store, []string{"counter-"}, func() bool { return f.count() == 32 })
	}()
	update(t, counters, cause.NewID(), 1)
	update(t, counters, cause.NewID(), 1)
	if err := <-done; !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected(t, server, "counter-"), f.seen()); diff != "" {
		t.Error(diff)
	}
}

func TestFollowingSeveralPrefixes(t *testing.T) {
	server, store, _ := counters(t)
	for _, stream := range []string{"a-1", "b-1", "ab-1", "a-2"} {
		write(t, server, stream, "x", `{}`, `{}`)
	}
	f := &follower{}
	if err := f.follow(within(t), store, []string{"a-", "b-"}, func() bool { return f.caughtUp }); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	var streams []string
	for _, e := range f.events {
		streams = append(streams, e.Stream)
	}
	if diff := cmp.Diff([]string{"a-1", "b-1", "a-2"}, streams); diff != "" {
		t.Error(diff)
	}
}

func TestEventsOfOtherStreamsMoveThePosition(t *testing.T) {
	server, store, _ := counters(t)
	for range 2 { // checkpoints come after so many events that are none of ours
		writeMany(t, server, "other-1", 1024)
	}
	f := &follower{}
	moved := func() bool { return f.position > 0 }
	if err := f.follow(within(t), store, []string{"counter-"}, moved); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	if f.count() != 0 {
		t.Errorf("%d events of other streams", f.count())
	}
	write(t, server, "counter-1", "added", `{"N":1}`, `{}`)
	if err := f.follow(within(t), store, []string{"counter-"}, func() bool { return f.count() == 1 }); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
}

func TestFollowingEndsWhenTheServerDoesAndResumesWithoutGapOrDuplicate(t *testing.T) {
	server, store, counters := counters(t, esdbservertest.InDir(t.TempDir()))
	const total = 60
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range total {
			if _, _, err := counters.Update(within(t), cause.NewID(), command(), es.Precondition{}, add(1)); err != nil {
				t.Error(err)
			}
		}
	}()
	f := &follower{}
	for stops := 0; ; {
		next := min((stops+1)*total/4, total)
		err := f.follow(within(t), store, []string{"counter-"}, func() bool {
			if f.count() >= total {
				return true
			}
			if f.count() >= next && stops < 3 {
				stops++
				next = total + 1 // only the break ends this round
				go func() { server.Stop(); server.Start() }()
			}
			return false
		})
		if errors.Is(err, errEnough) {
			break
		}
		if !errors.Is(err, es.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
	}
	<-written
	if diff := cmp.Diff(expected(t, server, "counter-"), f.seen()); diff != "" {
		t.Error(diff)
	}
}

func TestFollowingEndsWithItsContextAndWithTheStore(t *testing.T) {
	_, store, counters := counters(t)
	update(t, counters, cause.NewID(), 1)
	never := func() bool { return false }
	start := func(ctx context.Context) <-chan error {
		f, done := &follower{}, make(chan error, 1)
		go func() { done <- f.follow(ctx, store, []string{"counter-"}, never) }()
		eventually(t, "it follows", func() bool { return f.count() == 1 })
		return done
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := start(ctx)
	cancel(errEnough)
	if err := <-done; !errors.Is(err, errEnough) {
		t.Errorf("got %v, want the cause of the context", err)
	}
	done = start(t.Context())
	store.Close()
	if err := <-done; !errors.Is(err, es.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestAnUnreadableEventInTheLogStopsNothing(t *testing.T) {
	server, store, _ := counters(t)
	write(t, server, "counter-1", "added", `{"N":1}`, `{"version":1}`)
	write(t, server, "counter-1", "added", `{"N":2}`, `{{{`)
	write(t, server, "counter-1", "added", `{"N":3}`, `{"version":1}`)
	f := &follower{}
	if err := f.follow(within(t), store, []string{"counter-"}, func() bool { return f.count() == 3 }); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	unreadable := slices.IndexFunc(f.events, func(r es.Recorded) bool { return errors.Is(r.Unreadable, es.ErrUnreadable) })
	if unreadable != 1 || f.events[2].Unreadable != nil || string(f.events[1].Data) != `{"N":2}` {
		t.Errorf("event %d is unreadable, want the one in the middle: %+v", unreadable, f.events)
	}
}
