package protocoltest

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
)

func allSubscriptions() []rule {
	rules := []rule{
		{name: "From the start it begins with the first event", ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given("append any: a b")
			w.follows(esdb.Start{}, w.ownFilter(), "0:began 0:a 1:b caught-up", []string{"append any: c"}, "2:c")
		}},
		{name: "The position to start at is excluded", ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given("append any: a b")
			w.follows(w.recordedIn("s")[0].Position, w.ownFilter(), "1:b caught-up", []string{"append any: c"}, "2:c")
		}},
		{name: "From the end there are only later events", ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given("append any: a b")
			w.follows(esdb.End{}, w.ownFilter(), "caught-up", []string{"append to t any: c", "append any: d"}, "0:c 2:d")
		}},
		{name: "Without a filter every event comes, hidden ones and the server's own too", ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given(`metadata {"$maxCount":1}`, "append any: a b")
			w.follows(w.began, nil, "0:$metadata 0:a 1:b caught-up", []string{"delete any", "tombstone any"}, "1:$metadata $streamDeleted")
		}},
		{
			name: "A pattern with look-around is refused", ask: lookAroundIsRefused,
			differs: "its patterns are those of .NET, which know look-around",
		},
		{name: "Checkpoints tell how far it has looked, each beyond the one before", ask: checkpointsAdvance},
		{name: "Resuming at any checkpoint or event loses nothing", ask: resumingLosesNothing},
	}
	return append(rules, filters()...)
}

func (w *world) ownFilter() *esdb.SubscriptionFilter {
	return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{w.Prefix}}
}

// subscribe follows $all, until the test ends.
func (w *world) subscribe(from esdb.AllPosition, filter *esdb.SubscriptionFilter) *esdb.Subscription {
	w.t.Helper()
	subscription, err := w.Client.SubscribeToAll(within(w.t), esdb.SubscribeToAllOptions{
		From: from, Filter: filter, MaxSearchWindow: 32, CheckpointInterval: 1,
	})
	if err != nil {
		w.t.Fatalf("subscribe: %v", err)
	}
	w.t.Cleanup(func() { _ = subscription.Close() }) // never fails
	return subscription
}

// follows subscribes and compares what comes, apart from checkpoints and other people's events.
func (w *world) follows(from esdb.AllPosition, filter *esdb.SubscriptionFilter, first string, then []string, live string) {
	w.t.Helper()
	subscription := w.subscribe(from, filter)
	if diff := cmp.Diff(first, w.next(subscription, first)); diff != "" {
		w.t.Fatalf("first (-want +got):\n%s", diff)
	}
	w.given(then...)
	if diff := cmp.Diff(live, w.next(subscription, live)); diff != "" {
		w.t.Errorf("live (-want +got):\n%s", diff)
	}
}

// next receives as many messages of the rule's own as are expected. That the server goes live again is no message of its
// own when events are expected: it may fall behind what others write.
func (w *world) next(subscription *esdb.Subscription, expected string) string {
	w.t.Helper()
	want := strings.Fields(expected)
	var got []string
	for len(got) < len(want) {
		message := subscription.Recv()
		switch {
		case message.CheckPointReached != nil,
			message.EventAppeared != nil && !w.own(message.EventAppeared.OriginalEvent()),
			message.CaughtUp != nil && want[len(got)] != "caught-up":
			continue
		case message.SubscriptionDropped != nil:
			w.t.Fatalf("after %q: %v", got, message.SubscriptionDropped.Error)
		}
		got = append(got, Describe(message))
	}
	return strings.Join(got, " ")
}

// filters are asked about four events, in streams and of types that only this rule has.
func filters() []rule {
	var rules []rule
	for _, r := range []struct {
		rule   string
		filter func(prefix string) *esdb.SubscriptionFilter
		want   string
	}{
		{"A filter by the beginning of stream names", func(prefix string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{prefix + "order-"}}
		}, "placed cancelled"},
		{"A filter by one of several beginnings", func(prefix string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{prefix + "customer-", prefix + "reorder-"}}
		}, "created placed-again"},
		{"A filter by a pattern for stream names, which may match anywhere", func(prefix string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: prefix[3:] + "(re)?order"}
		}, "placed cancelled placed-again"},
		{"A filter by the beginning of event types", func(prefix string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{prefix + "placed"}}
		}, "placed placed-again"},
		{"A filter by a pattern for event types", func(prefix string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "^" + prefix + "c.*d$"}
		}, "created cancelled"},
		{"A filter that keeps the server's own events out", func(string) *esdb.SubscriptionFilter {
			return esdb.ExcludeSystemEventsFilter()
		}, "placed created cancelled placed-again"},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			for _, e := range [][2]string{{"order-1", "placed"}, {"customer-1", "created"}, {"order-2", "cancelled"}, {"reorder-1", "placed-again"}} {
				w.Append(e[0], "any", Event(w.Prefix+e[1]))
			}
			subscription := w.subscribe(w.began, r.filter(w.Prefix))
			var got []string
			for {
				message := subscription.Recv()
				if message.SubscriptionDropped != nil {
					t.Fatal(message.SubscriptionDropped.Error)
				}
				if message.CaughtUp != nil {
					break
				}
				if message.EventAppeared != nil && w.own(message.EventAppeared.OriginalEvent()) {
					got = append(got, strings.TrimPrefix(message.EventAppeared.OriginalEvent().EventType, w.Prefix))
				}
			}
			if diff := cmp.Diff(r.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		}})
	}
	return rules
}

func lookAroundIsRefused(t *testing.T, server Server) {
	w := newWorld(t, server)
	_, err := w.Client.SubscribeToAll(within(t), esdb.SubscribeToAllOptions{
		Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: `^(?!\$)`},
	})
	if err == nil || !strings.Contains(err.Error(), "InvalidArgument") {
		t.Errorf("error %v", err)
	}
}
