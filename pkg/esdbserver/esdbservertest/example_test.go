package esdbservertest_test

import (
	"context"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// place is the code under test: it may be repeated, for the id of the event is made from that of the order.
func place(client *esdb.Client, order string) error {
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("placed "+order))
	_, err := client.AppendToStream(context.Background(), "order-"+order, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
		esdb.EventData{EventID: id, EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)})
	return err
}

func TestPlacingAnOrderTwiceWritesItOnce(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	store.FailAppends(esdbservertest.AnswerLost())
	for place(client, "1") != nil { // tries again until it is told that it worked
		client = store.Client(t)
	}
	if events := store.Events(t, "order-1"); len(events) != 1 {
		t.Errorf("%d events, want 1", len(events))
	}
}
