package esdbserver_test

import (
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

func TestReaderWhoLosesTheRightLosesTheSubscription(t *testing.T) {
	for _, test := range []struct {
		name         string
		given        [2]string // what lets alice subscribe: a stream, and what is put into it
		toAll        bool
		stream, data string // what is put into which stream then
		want         string
	}{
		{"a list of the stream", [2]string{"s", `{}`}, false, "$$s", `{"$acl":{"$r":"ops"}}`, "denied"},
		{"the default list", [2]string{"s", `{}`}, false, "$settings", `{"$userStreamAcl":{"$r":"ops"}}`, "denied"},
		{"a list that still admits her", [2]string{"s", `{}`}, false, "$$s", `{"$acl":{"$r":"sales"}}`, "goes on"},
		{"the list of another stream", [2]string{"s", `{}`}, false, "$$t", `{"$acl":{"$r":[]}}`, "goes on"},
		{"the default list, with one of the stream", [2]string{"$$s", `{"$acl":{"$r":"sales"}}`}, false, "$settings", `{"$userStreamAcl":{"$r":[]}}`, "goes on"},
		{"the list of everything", [2]string{"$$$all", `{"$acl":{"$r":"sales"}}`}, true, "$$$all", `{}`, "denied"},
		{"the default list, of everything", [2]string{"$settings", `{"$systemStreamAcl":{"$r":"sales"}}`}, true, "$settings", `{}`, "denied"},
		{"the list of one stream, of everything", [2]string{"$$$all", `{"$acl":{"$r":"sales"}}`}, true, "$$s", `{"$acl":{"$r":[]}}`, "goes on"},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := secureStore(t)
			put(t, store, test.given[0], test.given[1])
			client := store.ClientFor(t, "alice", "pw-alice")
			var subscription *esdb.Subscription
			var err error
			if test.toAll {
				subscription, err = client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{From: esdb.End{}})
			} else {
				subscription, err = client.SubscribeToStream(withPatience(t), "s", esdb.SubscribeToStreamOptions{From: esdb.End{}})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer subscription.Close()
			if got := next(t, subscription, 1); got != "caught-up" {
				t.Fatal(got)
			}
			put(t, store, test.stream, test.data)
			put(t, store, "s", `{"after":"that"}`)
			for {
				message := subscription.Recv()
				if message.SubscriptionDropped != nil {
					if got := verdict(message.SubscriptionDropped.Error); got != test.want {
						t.Errorf("dropped: %s, want %s", got, test.want)
					}
					return
				}
				if e := message.EventAppeared; e != nil && e.Event.StreamID == "s" {
					if test.want != "goes on" {
						t.Errorf("still gets %s", e.Event.Data)
					}
					return
				}
			}
		})
	}
}

// The subscriptions are idle, and nothing they would deliver happens after they have lost their right.
func TestIdleReaderWhoLosesTheRightIsNotKept(t *testing.T) {
	store := secureStore(t)
	put(t, store, "$$$all", `{"$acl":{"$r":"alice"}}`)
	client := store.ClientFor(t, "alice", "pw-alice")
	toStream, err := client.SubscribeToStream(withPatience(t), "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer toStream.Close()
	toAll, err := client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{From: esdb.End{}, Filter: prefix("none")})
	if err != nil {
		t.Fatal(err)
	}
	defer toAll.Close()
	for metastream, subscription := range map[string]*esdb.Subscription{"$$s": toStream, "$$$all": toAll} {
		if got := next(t, subscription, 1); got != "caught-up" {
			t.Fatal(got)
		}
		put(t, store, metastream, `{"$acl":{"$r":[]}}`)
		message := subscription.Recv()
		if message.SubscriptionDropped == nil || verdict(message.SubscriptionDropped.Error) != "denied" {
			t.Errorf("%s: got %s", metastream, describe(message))
		}
	}
}

// The reader has got the first of many events, and the server waits for it to take more.
func TestReaderWhoLosesTheRightHalfwayDoesNotGetTheRest(t *testing.T) {
	const events = 5000
	store := secureStore(t)
	client := store.ClientFor(t, "alice", "pw-alice")
	batch := make([]esdb.EventData, events/10)
	for range events / len(batch) {
		for i := range batch {
			batch[i] = esdb.EventData{EventType: "x", Data: make([]byte, 2000)}
		}
		if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, batch...); err != nil {
			t.Fatal(err)
		}
	}
	read, err := client.ReadStream(withPatience(t), "s", esdb.ReadStreamOptions{}, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read.Recv(); err != nil {
		t.Fatal(err)
	}
	put(t, store, "$$s", `{"$acl":{"$r":[]}}`)
	rest, err := receiveAll(read)
	if verdict(err) != "denied" || len(rest) >= events-1 {
		t.Errorf("%d events more, then %s", len(rest), verdict(err))
	}
}

func TestAdministratorKeepsSubscriptionsWhateverTheListsSay(t *testing.T) {
	store := secureStore(t)
	subscription, err := store.Client(t).SubscribeToStream(withPatience(t), "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	put(t, store, "$$s", `{"$acl":{"$r":[]}}`)
	put(t, store, "s", `{}`)
	for {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
		if message.EventAppeared != nil {
			return
		}
	}
}
