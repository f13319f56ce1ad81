package esdbserver_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// A client is still sending when the server knows that it will refuse. Answered at once, it would often see its stream
// break and not the reason.
func TestRefusedAppendReachesTheClientAsItsReason(t *testing.T) {
	client := esdbservertest.New(t).Client(t)
	events := make([]esdb.EventData, 200)
	for i := range events {
		events[i] = esdb.EventData{EventType: "x", Data: make([]byte, 10_000)}
	}
	for attempt := range 20 {
		_, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, events...)
		if err == nil || !strings.Contains(err.Error(), "Maximum Append Size of 1048576 Exceeded") {
			t.Fatalf("attempt %d: %v", attempt, err)
		}
	}
}

// The official client pings every 10 s, which a gRPC server by default takes as an attack and ends the connection after
// some 30 s. It takes most of a minute to see that this one does not: TEST_LONG=1 asks for that.
func TestIdleSubscriptionOutlivesTheClientsPings(t *testing.T) {
	if os.Getenv("TEST_LONG") == "" {
		t.Skip("takes 50 s: set TEST_LONG=1")
	}
	t.Parallel()
	client := esdbservertest.New(t).Client(t)
	subscription, err := client.SubscribeToStream(t.Context(), "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	if got := next(t, subscription, 1); got != "caught-up" {
		t.Fatal(got)
	}
	message := make(chan string, 1)
	go func() { message <- describe(subscription.Recv()) }()
	select {
	case got := <-message:
		t.Fatalf("while nothing was going on: %s", got)
	case <-time.After(50 * time.Second):
	}
	if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("a")); err != nil {
		t.Fatal(err)
	}
	if got := <-message; got != "0:a" {
		t.Errorf("afterwards: %s", got)
	}
}
