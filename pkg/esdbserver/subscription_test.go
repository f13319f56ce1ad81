package esdbserver_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/esdbserver/protocoltest"
)

func subscribe(t *testing.T, client *esdb.Client, stream string, from esdb.StreamPosition) *esdb.Subscription {
	t.Helper()
	subscription, err := client.SubscribeToStream(withPatience(t), stream, esdb.SubscribeToStreamOptions{From: from})
	if err != nil {
		t.Fatalf("subscribe to %s: %v", stream, err)
	}
	t.Cleanup(func() { subscription.Close() })
	return subscription
}

// next puts the next n messages of a subscription in words.
func next(t *testing.T, subscription *esdb.Subscription, n int) string {
	t.Helper()
	return protocoltest.Next(subscription, n)
}

func describe(message *esdb.SubscriptionEvent) string { return protocoltest.Describe(message) }

// A position that lies beyond the end is not one of an event, and may come from the time before data was lost.
func TestSubscriptionToAllFromBeyondTheEndWaits(t *testing.T) {
	s := newScript(t)
	s.do("append any: a b")
	last := s.store.All(t)[1].Position.Commit
	beyond, err := s.client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{From: esdb.Position{Commit: last + 5, Prepare: last + 5}})
	if err != nil {
		t.Fatal(err)
	}
	defer beyond.Close()
	if got := next(t, beyond, 1); got != "caught-up" {
		t.Fatal(got)
	}
	s.do("append any: c d e f g h")
	for _, e := range s.store.All(t) {
		if e.Position.Commit <= last+5 {
			continue // not beyond it
		}
		if got := beyond.Recv(); got.EventAppeared == nil || got.EventAppeared.Event.Position != e.Position {
			t.Errorf("%s, want %d:%s", describe(got), e.EventNumber, e.EventType)
		}
	}
}

// However far ahead a subscriber begins, there is nothing to wait for behind a tombstone.
func TestTombstoneEndsASubscriptionFromTheLargestRevision(t *testing.T) {
	s := newScript(t)
	s.do("append any: a")
	subscription := subscribe(t, s.client, "s", esdb.Revision(math.MaxInt64))
	if got := next(t, subscription, 1); got != "caught-up" {
		t.Fatal(got)
	}
	s.do("append any: b")
	s.do("tombstone any")
	if got := next(t, subscription, 2); got != "$streamDeleted dropped(FailedPrecondition)" {
		t.Error(got)
	}
}

func TestStoppedServerEndsSubscriptions(t *testing.T) {
	store := esdbservertest.New(t)
	subscription := subscribe(t, store.Client(t), "s", esdb.Start{})
	if got := next(t, subscription, 1); got != "caught-up" {
		t.Fatal(got)
	}
	store.Stop()
	message := subscription.Recv()
	if message.SubscriptionDropped == nil || status.Code(message.SubscriptionDropped.Error) != codes.Unavailable {
		t.Errorf("the subscription ended with %v", describe(message))
	}
}

// A consumer that does not read makes the server block; meanwhile the writer runs further than memory reaches back.
func TestSlowConsumerGetsEveryEventOnceAndInOrder(t *testing.T) {
	const appends, perAppend, size = 60, 10, 40_000 // 24 MB: more than is kept in memory
	store := esdbservertest.New(t, inDir(t))
	client := store.Client(t)
	byStream := subscribe(t, client, "s", esdb.Start{})
	byAll, err := client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer byAll.Close()
	for _, subscription := range []*esdb.Subscription{byStream, byAll} {
		if got := next(t, subscription, 1); got != "caught-up" {
			t.Fatal(got)
		}
	}
	events := make([]esdb.EventData, perAppend)
	for i := range events {
		events[i] = esdb.EventData{EventType: "x", Data: make([]byte, size)}
	}
	for range appends {
		if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, events...); err != nil {
			t.Fatal(err)
		}
	}
	for name, subscription := range map[string]*esdb.Subscription{"stream": byStream, "$all": byAll} {
		expected, caughtUp := uint64(0), 0
		for expected < appends*perAppend || caughtUp == 0 {
			message := subscription.Recv()
			switch {
			case message.SubscriptionDropped != nil:
				t.Fatalf("%s: dropped at %d: %v", name, expected, message.SubscriptionDropped.Error)
			case message.CaughtUp != nil:
				caughtUp++
			case message.EventAppeared.Event.EventNumber != expected:
				t.Fatalf("%s: event %d instead of %d", name, message.EventAppeared.Event.EventNumber, expected)
			default:
				expected++
			}
		}
	}
}

func TestSubscribersThatJoinWhileOthersWriteMissNothing(t *testing.T) {
	const writers, appends, subscribers = 4, 150, 6
	store := esdbservertest.New(t, inDir(t))
	client := store.Client(t)
	started := make(chan struct{}, writers*appends)
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range appends {
				_, err := client.AppendToStream(context.Background(), fmt.Sprintf("s-%d", w), esdb.AppendToStreamOptions{},
					event(fmt.Sprintf("e-%d-%d-a", w, i)), event(fmt.Sprintf("e-%d-%d-b", w, i)))
				if err != nil {
					t.Errorf("append: %v", err)
				}
				started <- struct{}{}
			}
		})
	}
	for n := range subscribers {
		for range n * 10 {
			<-started // so that each joins at another moment
		}
		subscription, err := client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{From: esdb.Start{}})
		if err != nil {
			t.Fatal(err)
		}
		reading.Go(func() {
			defer subscription.Close()
			seen := map[string]uint64{}
			for left := writers * appends * 2; left > 0; {
				message := subscription.Recv()
				if message.SubscriptionDropped != nil {
					t.Errorf("subscriber %d was dropped with %d events to go: %v", n, left, message.SubscriptionDropped.Error)
					return
				}
				if message.EventAppeared == nil {
					continue
				}
				e := message.EventAppeared.Event
				if e.EventNumber != seen[e.StreamID] {
					t.Errorf("subscriber %d got %s %d instead of %d", n, e.StreamID, e.EventNumber, seen[e.StreamID])
					return
				}
				seen[e.StreamID]++
				left--
			}
		})
	}
	writing.Wait()
	reading.Wait()
}
