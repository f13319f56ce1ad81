package esdbservertest_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestPersistentSubscriptionsAreHeldAndDroppedToo(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	store.Append(t, "s", esdb.EventData{EventType: "x"})
	err := client.CreatePersistentSubscription(t.Context(), "s", "g", esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	held := store.HoldEvents()
	subscribe := func() *esdb.PersistentSubscription {
		subscription, err := client.SubscribeToPersistentSubscription(t.Context(), "s", "g", esdb.SubscribeToPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { subscription.Close() })
		return subscription
	}
	first := subscribe()
	held.Await(t, 1)
	if n := store.DropSubscriptions(); n != 1 {
		t.Errorf("dropped %d", n)
	}
	if dropped := first.Recv().SubscriptionDropped; dropped == nil || status.Code(dropped.Error) != codes.Unavailable {
		t.Errorf("the held subscription ended with %v", dropped)
	}
	held.Release()
	again := subscribe()
	message := again.Recv()
	if message.EventAppeared == nil {
		t.Fatalf("afterwards: %v", message.SubscriptionDropped)
	}
	if err := again.Ack(message.EventAppeared.Event); err != nil {
		t.Error(err)
	}
}
