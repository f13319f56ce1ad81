package esdbserver_test

import (
	"context"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// BenchmarkPersistent is how fast one consumer with a buffer of 500 gets events and acknowledges each, beside how fast a
// catch-up subscription gets the same events: the ratio is what keeping account of them costs.
func BenchmarkPersistent(b *testing.B) {
	const events = 10_000
	client := esdbservertest.New(b, esdbservertest.InDir(b.TempDir())).Client(b)
	appendMany(b, client, "s", events, 400)
	b.Run("catch-up", func(b *testing.B) {
		for b.Loop() {
			subscription, err := client.SubscribeToStream(context.Background(), "s", esdb.SubscribeToStreamOptions{From: esdb.Start{}})
			if err != nil {
				b.Fatal(err)
			}
			for n := 0; n < events; {
				message := subscription.Recv()
				switch {
				case message.SubscriptionDropped != nil:
					b.Fatal(message.SubscriptionDropped.Error)
				case message.EventAppeared != nil:
					n++
				}
			}
			subscription.Close()
		}
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	settings := esdb.SubscriptionSettingsDefault()
	for name, batch := range map[string]int{"acknowledged-one-by-one": 1, "acknowledged-by-50": 50} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := client.CreatePersistentSubscription(context.Background(), "s", "g", esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings}); err != nil {
					b.Fatal(err)
				}
				subscription, err := client.SubscribeToPersistentSubscription(context.Background(), "s", "g", esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 500})
				if err != nil {
					b.Fatal(err)
				}
				var unanswered []*esdb.ResolvedEvent
				for range events {
					message := subscription.Recv()
					if message.SubscriptionDropped != nil {
						b.Fatal(message.SubscriptionDropped.Error)
					}
					if unanswered = append(unanswered, message.EventAppeared.Event); len(unanswered) == batch {
						if err := subscription.Ack(unanswered...); err != nil {
							b.Fatal(err)
						}
						unanswered = unanswered[:0]
					}
				}
				subscription.Close()
				if err := client.DeletePersistentSubscription(context.Background(), "s", "g", esdb.DeletePersistentSubscriptionOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
