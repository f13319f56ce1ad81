package protocoltest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/status"
)

func streamSubscriptions() []rule {
	rules := []rule{{name: "A tombstoned stream cannot be subscribed to", ask: tombstonedIsRefused}}
	for _, r := range []struct {
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
		{"A deleted stream that metadata brings back is followed", []string{"append any: a", "delete any"}, esdb.Start{}, "caught-up", []string{`metadata {"x":1}`, "append any: b"}, "1:b"},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWorld(t, server)
			w.given(r.given...)
			subscription, err := w.Client.SubscribeToStream(within(t), w.Stream("s"), esdb.SubscribeToStreamOptions{From: r.from})
			if err != nil {
				t.Fatal(err)
			}
			defer subscription.Close()
			if diff := cmp.Diff(r.first, Next(subscription, len(strings.Fields(r.first)))); diff != "" {
				t.Fatalf("first (-want +got):\n%s", diff)
			}
			w.given(r.then...)
			if diff := cmp.Diff(r.live, Next(subscription, len(strings.Fields(r.live)))); diff != "" {
				t.Errorf("live (-want +got):\n%s", diff)
			}
		}})
	}
	return rules
}

// Next receives n messages and puts them in words.
func Next(subscription *esdb.Subscription, n int) string {
	var all []string
	for range n {
		all = append(all, Describe(subscription.Recv()))
	}
	return strings.Join(all, " ")
}

// Describe puts a message in a word: "2:c" for an event, caught-up, checkpoint, or dropped with the code of the error.
func Describe(message *esdb.SubscriptionEvent) string {
	switch {
	case message.EventAppeared != nil:
		e := message.EventAppeared.OriginalEvent()
		if e.EventNumber == math.MaxInt64 {
			return e.EventType // a tombstone
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

func tombstonedIsRefused(t *testing.T, server Server) {
	w := newWorld(t, server)
	w.given("append any: a", "tombstone any")
	_, err := w.Client.SubscribeToStream(within(t), w.Stream("s"), esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	var failure *esdb.Error
	if !errors.As(err, &failure) || failure.Code() != esdb.ErrorCodeStreamDeleted {
		t.Errorf("error %v", err)
	}
}
