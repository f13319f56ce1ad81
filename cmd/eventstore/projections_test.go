package main

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

func TestSystemProjectionsAreSwitchedOnByAFlag(t *testing.T) {
	client := start(t, "--system-projections").client(t)
	subscription, err := client.SubscribeToStream(t.Context(), "$ce-order", esdb.SubscribeToStreamOptions{From: esdb.Start{}, ResolveLinkTos: true})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	if _, err := client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "placed"}); err != nil {
		t.Fatal(err)
	}
	for {
		got := subscription.Recv()
		if got.SubscriptionDropped != nil {
			t.Fatal(got.SubscriptionDropped.Error)
		}
		if got.EventAppeared != nil {
			if e := got.EventAppeared.Event; e == nil || e.StreamID != "order-1" {
				t.Errorf("the link leads to %v", e)
			}
			return
		}
	}
}
