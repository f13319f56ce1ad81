package esdbserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
)

// prefix selects the event types that begin with a text.
func prefix(text string) *esdb.SubscriptionFilter {
	return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{text}}
}

func subscribeFiltered(t *testing.T, client *esdb.Client, from esdb.AllPosition, filter *esdb.SubscriptionFilter, window, multiplier int) *esdb.Subscription {
	t.Helper()
	subscription, err := client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{
		From: from, Filter: filter, MaxSearchWindow: window, CheckpointInterval: multiplier,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { subscription.Close() })
	return subscription
}

func TestCheckpointsTellHowFarAFilteredSubscriptionHasLooked(t *testing.T) {
	for _, test := range []struct {
		rule               string
		given              string
		window, multiplier int
		first              string
		then               string
		live               string
	}{
		{"Catching up, there is one each interval and one at the end", "x1 x2 y1 x3 x4", 2, 1, "checkpoint(x2) y1 checkpoint(x3) checkpoint(x4) caught-up", "", ""},
		{"The interval is the window times the multiplier", "x1 x2 x3 y1 x4", 2, 2, "y1 checkpoint(y1) checkpoint(x4) caught-up", "", ""},
		{"None comes twice for the same position", "x1 x2", 2, 1, "checkpoint(x2) caught-up", "", ""},
		{"In an empty log there is nothing to tell", "", 2, 1, "caught-up", "", ""},
		{"Live, there is one after each interval, at the event looked at, matching or not", "x1", 2, 1, "checkpoint(x1) caught-up", "x2 y1 y2 x3 x4", "y1 checkpoint(y1) y2 checkpoint(x3)"},
		{"Without a window of its own it looks at 32 events for each", words33(), esdb.NoMaxSearchWindow, 1, "checkpoint(x32) checkpoint(x33) caught-up", "", ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s := newScript(t)
			at := func() map[uint64]string {
				names := map[uint64]string{}
				for _, e := range s.store.All(t) {
					names[e.Position.Commit] = e.EventType
				}
				return names
			}
			read := func(subscription *esdb.Subscription, n int) string {
				var got []string
				for range n {
					message := subscription.Recv()
					switch {
					case message.EventAppeared != nil:
						got = append(got, message.EventAppeared.Event.EventType)
					case message.CheckPointReached != nil:
						got = append(got, "checkpoint("+at()[message.CheckPointReached.Commit]+")")
					default:
						got = append(got, describe(message))
					}
				}
				return strings.Join(got, " ")
			}
			s.do("append any: " + test.given)
			subscription := subscribeFiltered(t, s.client, esdb.Start{}, prefix("y"), test.window, test.multiplier)
			if diff := cmp.Diff(test.first, read(subscription, len(strings.Fields(test.first)))); diff != "" {
				t.Fatalf("first (-want +got):\n%s", diff)
			}
			if test.then == "" {
				return
			}
			s.do("append any: " + test.then)
			if diff := cmp.Diff(test.live, read(subscription, len(strings.Fields(test.live)))); diff != "" {
				t.Errorf("live (-want +got):\n%s", diff)
			}
		})
	}
}

func words33() string {
	var words []string
	for i := range 33 {
		words = append(words, fmt.Sprintf("x%d", i+1))
	}
	return strings.Join(words, " ")
}

func TestResumingAtAnyCheckpointOrEventLosesNothing(t *testing.T) {
	s := newScript(t)
	var want []string
	for i := range 20 {
		s.do(fmt.Sprintf("append any: x%da x%db y%d", i, i, i))
		want = append(want, fmt.Sprintf("y%d", i))
	}
	var got []string
	var from esdb.AllPosition = esdb.Start{}
	for rounds := 0; len(got) < len(want) && rounds < 1000; rounds++ {
		// Each subscription is given up after one message, whatever it is.
		subscription := subscribeFiltered(t, s.client, from, prefix("y"), 2, 1)
		message := subscription.Recv()
		switch {
		case message.EventAppeared != nil:
			got = append(got, message.EventAppeared.Event.EventType)
			from = message.EventAppeared.Event.Position
		case message.CheckPointReached != nil:
			from = *message.CheckPointReached
		default:
			t.Fatalf("after %v: %s", got, describe(message))
		}
		subscription.Close()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestFiltersSelectByNameOrType(t *testing.T) {
	s := newScript(t)
	for _, line := range []string{"append to order-1 any: placed", "append to customer-1 any: created", "append to order-2 any: cancelled", "append to reorder-1 any: placed-again"} {
		s.do(line)
	}
	for _, test := range []struct {
		name   string
		filter *esdb.SubscriptionFilter
		want   string
	}{
		{"stream prefix", &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"order-"}}, "placed cancelled"},
		{"one of several stream prefixes", &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"customer-", "reorder-"}}, "created placed-again"},
		{"stream pattern, not anchored", &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "order"}, "placed cancelled placed-again"},
		{"type prefix", &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"placed"}}, "placed placed-again"},
		{"type pattern", &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^c.*d$"}, "created cancelled"},
		{"no system events", esdb.ExcludeSystemEventsFilter(), "placed created cancelled placed-again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			subscription := subscribeFiltered(t, s.client, esdb.Start{}, test.filter, 100, 1)
			var got []string
			for {
				message := subscription.Recv()
				if message.EventAppeared != nil {
					got = append(got, message.EventAppeared.Event.EventType)
				}
				if message.CaughtUp != nil || message.SubscriptionDropped != nil {
					break
				}
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}
