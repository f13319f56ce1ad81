package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
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
	var all []string
	for range n {
		all = append(all, describe(subscription.Recv()))
	}
	return strings.Join(all, " ")
}

func describe(message *esdb.SubscriptionEvent) string {
	switch {
	case message.EventAppeared != nil:
		e := message.EventAppeared.OriginalEvent()
		if e.EventNumber == math.MaxInt64 {
			return e.EventType
		}
		return fmt.Sprintf("%d:%s", e.EventNumber, e.EventType)
	case message.CaughtUp != nil:
		return "caught-up"
	case message.CheckPointReached != nil:
		return "checkpoint"
	case message.SubscriptionDropped != nil:
		return "dropped(" + status.Code(message.SubscriptionDropped.Error).String() + ")"
	}
	return "unknown"
}

func TestSubscribingToAStreamFollowsTheRule(t *testing.T) {
	for _, test := range []struct {
		rule  string
		given []string
		from  esdb.StreamPosition
		first string   // messages before anything else happens
		then  []string // lines while the subscription is live
		live  string
	}{
		{"From the start it begins with the first event", []string{"append any: a b"}, esdb.Start{}, "0:a 1:b caught-up", []string{"append any: c"}, "2:c"},
		{"The revision to start at is excluded", []string{"append any: a b c"}, esdb.Revision(1), "2:c caught-up", nil, ""},
		{"From the end there are only later events", []string{"append any: a b"}, esdb.End{}, "caught-up", []string{"append any: c"}, "2:c"},
		{"From a revision beyond the end, events not beyond it are skipped", []string{"append any: a"}, esdb.Revision(2), "caught-up", []string{"append any: b c d e"}, "3:d 4:e"},
		{"A stream that does not exist is waited for", nil, esdb.Start{}, "caught-up", []string{"append any: a"}, "0:a"},
		{"A stream that does not exist is waited for, from its end too", nil, esdb.End{}, "caught-up", []string{"append any: a"}, "0:a"},
		{"A deleted stream is waited for", []string{"append any: a", "delete any"}, esdb.Start{}, "caught-up", []string{"append any: b"}, "1:b"},
		{"Deleting the stream does not end it", []string{"append any: a"}, esdb.Start{}, "0:a caught-up", []string{"delete any", "append any: b"}, "1:b"},
		{"What metadata hides is not caught up with", []string{`metadata {"$maxCount":1}`, "append any: a b"}, esdb.Start{}, "1:b caught-up", nil, ""},
		{"What is live is not hidden by metadata", []string{`metadata {"$maxCount":1}`}, esdb.Start{}, "caught-up", []string{"append any: a b c"}, "0:a 1:b 2:c"},
		{"Other streams are not its business", nil, esdb.Start{}, "caught-up", []string{"append to other any: x", "append any: a"}, "0:a"},
		{"A tombstone is delivered and ends it", []string{"append any: a"}, esdb.Start{}, "0:a caught-up", []string{"append any: b", "tombstone any"}, "1:b $streamDeleted dropped(FailedPrecondition)"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, inDir(t))
			for _, line := range test.given {
				s.do(line)
			}
			subscription := subscribe(t, s.client, "s", test.from)
			if diff := cmp.Diff(test.first, next(t, subscription, len(strings.Fields(test.first)))); diff != "" {
				t.Fatalf("first (-want +got):\n%s", diff)
			}
			for _, line := range test.then {
				s.do(line)
			}
			if diff := cmp.Diff(test.live, next(t, subscription, len(strings.Fields(test.live)))); diff != "" {
				t.Errorf("live (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSubscribingToATombstonedStreamFails(t *testing.T) {
	s := newScript(t)
	s.do("append any: a")
	s.do("tombstone any")
	_, err := s.client.SubscribeToStream(withPatience(t), "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	var failure *esdb.Error
	if !errors.As(err, &failure) || failure.Code() != esdb.ErrorCodeStreamDeleted {
		t.Errorf("error %v", err)
	}
}

func TestSubscribingToAllFollowsTheRule(t *testing.T) {
	s := newScript(t)
	s.do("append any: a b")
	second := s.store.All(t)[1].Position
	start := func(from esdb.AllPosition) *esdb.Subscription {
		subscription, err := s.client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{From: from})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { subscription.Close() })
		return subscription
	}
	fromStart, fromFirst, fromEnd := start(esdb.Start{}), start(s.store.All(t)[0].Position), start(esdb.End{})
	beyond := start(esdb.Position{Commit: second.Commit + 1_000_000, Prepare: second.Prepare + 1_000_000})
	for _, step := range []struct {
		rule         string
		subscription *esdb.Subscription
		want         string
	}{
		{"From the start it begins with the first event", fromStart, "0:a 1:b caught-up"},
		{"The position to start at is excluded", fromFirst, "1:b caught-up"},
		{"From the end there are only later events", fromEnd, "caught-up"},
		{"From beyond the end it waits", beyond, "caught-up"},
	} {
		if got := next(t, step.subscription, len(strings.Fields(step.want))); got != step.want {
			t.Errorf("%s: %q, want %q", step.rule, got, step.want)
		}
	}
	s.do("append to t any: c")
	for _, subscription := range []*esdb.Subscription{fromStart, fromFirst, fromEnd} {
		if got := next(t, subscription, 1); got != "0:c" {
			t.Errorf("live: %q", got)
		}
	}
	between := second.Commit - 1
	_, err := s.client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{From: esdb.Position{Commit: between, Prepare: between}})
	if err == nil || !strings.Contains(err.Error(), "invalid position") {
		t.Errorf("a position at which no event lies: %v", err)
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
