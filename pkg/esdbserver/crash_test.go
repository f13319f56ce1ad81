package esdbserver_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/esdbservertest"
)

const (
	crashWriters = 8
	crashBatch   = 3   // events of one append
	crashAppends = 300 // acknowledged in a round before the server is killed
)

// What clients know when a server is killed under them, again and again. Everything in it must hold afterwards.
type crashKnowledge struct {
	writers []*crashWriter

	mu    sync.Mutex
	facts map[uint64]string // position: the stream and type that somebody was told of
	seen  map[uint64]string // position: all of the event that a subscriber got there
	wrong []string
}

// crashWriter appends to a stream of its own. It knows what was acknowledged, in order, and what it got no answer to.
type crashWriter struct {
	stream  string
	acked   []uuid.UUID // ids of the first events
	pending uuid.UUID   // of the append that was not answered
}

func (k *crashKnowledge) fact(position uint64, stream, eventType string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if former, taken := k.facts[position]; taken {
		k.wrong = append(k.wrong, fmt.Sprintf("position %d was given to %q and %q", position, former, stream+" "+eventType))
	}
	k.facts[position] = stream + " " + eventType
}

func (k *crashKnowledge) saw(position uint64, event string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if former, again := k.seen[position]; again && former != event {
		k.wrong = append(k.wrong, fmt.Sprintf("at position %d one subscriber saw %q and another %q", position, former, event))
	}
	k.seen[position] = event
}

// write appends once: what was not answered before, or new events. It expects the revision that it knows of, so that
// asking again is safe.
func (w *crashWriter) write(ctx context.Context, client streams.StreamsClient, k *crashKnowledge) error {
	if w.pending == uuid.Nil {
		w.pending = uuid.New()
	}
	next := uint64(len(w.acked) * crashBatch)
	answer, err := appendAt(ctx, client, w.stream, next, crashEvents(w.pending)...)
	if err != nil {
		return err
	}
	if got := answer.GetSuccess().GetCurrentRevision(); answer.GetSuccess() == nil || got != next+crashBatch-1 {
		return fmt.Errorf("%w: append at %d was answered with %v", errCrashRule, next, answer)
	}
	k.fact(answer.GetSuccess().GetPosition().GetCommitPosition(), w.stream, "crashed")
	w.acked, w.pending = append(w.acked, w.pending), uuid.Nil
	return nil
}

// Kill -9 at any moment: nothing that anybody was told or saw is gone or different afterwards, whole appends only, no
// position twice, and a writer who got no answer asks again and has its events stored exactly once.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	k := &crashKnowledge{facts: map[uint64]string{}, seen: map[uint64]string{}}
	for w := range crashWriters {
		k.writers = append(k.writers, &crashWriter{stream: fmt.Sprintf("crash-%d", w)})
	}
	n := 3
	if os.Getenv("TEST_LONG") == "1" {
		n = 30
	}
	for round := range n {
		k.round(t, dir, round)
		if t.Failed() {
			return
		}
	}
	store := esdbservertest.New(t, esdbservertest.InDir(dir))
	client := dial(t, store)
	for _, w := range k.writers {
		if w.pending != uuid.Nil {
			if err := w.write(withPatience(t), client, k); err != nil {
				t.Errorf("%s, asking again: %v", w.stream, err)
			}
		}
	}
	k.check(t, store)
}

// round lets clients of every kind at a server until enough is acknowledged, and kills it while they go on.
func (k *crashKnowledge) round(t *testing.T, dir string, round int) {
	t.Helper()
	server := startChild(t, dir)
	ctx := withPatience(t)
	var (
		enough  = make(chan struct{})
		count   atomic.Int64
		clients sync.WaitGroup
	)
	for _, w := range k.writers {
		clients.Go(func() {
			for {
				if err := w.write(ctx, server.client, k); err != nil {
					k.notKilled(err)
					return
				}
				if count.Add(1) == crashAppends {
					close(enough)
				}
			}
		})
	}
	for r := range 2 {
		clients.Go(func() { k.notKilled(k.remove(ctx, server.client, fmt.Sprintf("gone-%d-%d", round, r))) })
	}
	clients.Go(func() { k.notKilled(k.watch(ctx, server.client, allFromStart(), "")) })
	clients.Go(func() { k.notKilled(k.watch(ctx, server.client, allFromEnd(), "")) })
	clients.Go(func() { k.notKilled(k.watch(ctx, server.client, streamFromStart("crash-0"), "crash-0")) })
	clients.Go(func() {
		for {
			if err := k.watch(ctx, server.client, lastOfAll(100), ""); err != nil {
				k.notKilled(err)
				return
			}
		}
	})
	select {
	case <-enough:
	case <-ctx.Done():
		t.Error("the writers did not get far enough")
	}
	server.kill()
	clients.Wait()
}

// check reads everything and compares it with what is known.
func (k *crashKnowledge) check(t *testing.T, store *esdbservertest.Server) {
	t.Helper()
	for _, wrong := range k.wrong {
		t.Error(wrong)
	}
	var last uint64
	stored := map[uint64]bool{}
	for _, e := range store.All(t) {
		position := e.Position.Commit
		if position <= last {
			t.Fatalf("position %d follows %d", position, last)
		}
		last = position
		stored[position] = true
		if fact, told := k.facts[position]; told && fact != e.StreamID+" "+e.EventType {
			t.Errorf("position %d was given to %q and holds %s %s", position, fact, e.StreamID, e.EventType)
		}
		event := crashText(e.StreamID, e.EventNumber, e.EventID, e.EventType, e.Data)
		if seen, ok := k.seen[position]; ok && seen != event {
			t.Errorf("at position %d a subscriber saw %q and there is %q", position, seen, event)
		}
	}
	for position, fact := range k.facts {
		if !stored[position] {
			t.Errorf("%s at position %d is gone", fact, position)
		}
	}
	for position, event := range k.seen {
		if !stored[position] {
			t.Errorf("a subscriber saw %q at position %d, which is gone", event, position)
		}
	}
	if len(k.seen) < len(k.facts) {
		t.Errorf("subscribers saw %d events only", len(k.seen))
	}
	for _, w := range k.writers {
		events := store.Events(t, w.stream)
		if len(events) != len(w.acked)*crashBatch {
			t.Errorf("%s has %d events, %d were acknowledged", w.stream, len(events), len(w.acked)*crashBatch)
			continue
		}
		for i, e := range events {
			if want := crashEventID(w.acked[i/crashBatch], i%crashBatch); e.EventID != want || e.EventNumber != uint64(i) {
				t.Errorf("%s: event %d is %d %s, want %s", w.stream, i, e.EventNumber, e.EventID, want)
			}
		}
	}
}
