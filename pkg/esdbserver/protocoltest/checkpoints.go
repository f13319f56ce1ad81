package protocoltest

import (
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// typeFilter selects events of the rule's own types.
func (w *world) typeFilter(word string) *esdb.SubscriptionFilter {
	return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{w.Prefix + word}}
}

// fill appends events that no filter of this rule selects: more than the server looks at between two checkpoints.
func (w *world) fill() esdb.Position {
	w.t.Helper()
	var events []esdb.EventData
	for range 40 {
		events = append(events, esdb.EventData{EventID: uuid.New(), EventType: "filler"})
	}
	written, err := w.Client.AppendToStream(within(w.t), w.Stream("filler"), esdb.AppendToStreamOptions{}, events...)
	if err != nil {
		w.t.Fatal(err)
	}
	return esdb.Position{Commit: written.CommitPosition, Prepare: written.PreparePosition}
}

func checkpointsAdvance(t *testing.T, server Server) {
	w := newWorld(t, server)
	end := w.fill()
	subscription := w.subscribe(w.began, w.typeFilter("never"))
	last, live := w.began, false
	// One comes when the end is reached, and live one after each interval.
	for last.Commit < end.Commit || !live {
		message := subscription.Recv()
		switch {
		case message.CheckPointReached != nil:
			if message.CheckPointReached.Commit <= last.Commit {
				t.Fatalf("a checkpoint at %d after one at %d", message.CheckPointReached.Commit, last.Commit)
			}
			last = *message.CheckPointReached
		case message.CaughtUp != nil:
			live = true
		default:
			t.Fatal(Describe(message))
		}
	}
	w.fill()
	for before := last; last == before; {
		switch message := subscription.Recv(); {
		case message.CheckPointReached != nil:
			last = *message.CheckPointReached
		case message.CaughtUp == nil: // it may have fallen behind
			t.Fatal(Describe(message))
		}
	}
}

func resumingLosesNothing(t *testing.T, server Server) {
	w := newWorld(t, server)
	var want []string
	for i := range 10 {
		w.fill()
		word := fmt.Sprintf("%sy%d", w.Prefix, i)
		w.Append("s", "any", Event(word))
		want = append(want, word)
	}
	var got []string
	var from esdb.AllPosition = w.began
	for rounds := 0; len(got) < len(want) && rounds < 1000; rounds++ {
		// Each subscription is given up after one message, whatever it is.
		subscription := w.subscribe(from, w.typeFilter("y"))
		message := subscription.Recv()
		switch {
		case message.EventAppeared != nil:
			got = append(got, message.EventAppeared.Event.EventType)
			from = message.EventAppeared.Event.Position
		case message.CheckPointReached != nil:
			from = *message.CheckPointReached
		default:
			t.Fatalf("after %v: %s", got, Describe(message))
		}
		if err := subscription.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
