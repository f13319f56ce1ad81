package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

const (
	benchEvents  = 60_000 // a round: starting and stopping the relay is a small part of it
	benchStreams = 200
)

// BenchmarkRelay moves committed events from the embedded event store to a
// quorum queue of RabbitMQ: reading, translating, publishing with confirms, the
// rows for tracing and the checkpoint. Each round is followed by the two limits,
// on the same machine in the same state: publishing the same messages through the
// same exchange with the bare client and a window of 1,024, and following the
// same events without doing anything with them. A relay cannot be faster than
// the slower of the two. What the bare client does with the bodies alone,
// without their envelopes, says how much of the limit is the broker's work on those.
func BenchmarkRelay(b *testing.B) {
	for _, database := range []struct {
		name string
		open func(testing.TB) sqldb.DB
	}{{"sqlite", sqldbtest.SQLite}, {"postgres", sqldbtest.Postgres}} {
		b.Run(database.name, func(b *testing.B) {
			w := newWorld(b, database.open(b))
			broker := openBroker(b)
			var bodies []eventbus.Event
			r := relay.New(relay.Config{
				Name: "order", Store: w.store, Prefixes: []string{"order-"}, DB: w.db, Bus: broker.bus, Translate: repriced,
			})
			var relaying, publishing, bare, following time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				before := es.Position(w.checkpoint())
				w.fill(b)
				if bodies == nil {
					bodies = w.translated(b, before)
				}
				broker.purge(b)
				end, err := w.store.End(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				relaying += elapsed(func() {
					stop := w.run(r)
					awaitPublished(b, r, int64(rounds*benchEvents))
					w.awaitCheckpoint(b, end)
					stop()
				})
				broker.purge(b)
				publishing += elapsed(func() { broker.publishRaw(b, bodies, rabbitmqtest.Envelope) })
				broker.purge(b)
				bare += elapsed(func() { broker.publishRaw(b, bodies, rabbitmqtest.Bare) })
				following += elapsed(func() { w.followAlone(b, before) })
			}
			total := float64(rounds * benchEvents)
			b.ReportMetric(total/relaying.Seconds(), "relay/s")
			b.ReportMetric(total/publishing.Seconds(), "raw-publish/s")
			b.ReportMetric(total/bare.Seconds(), "bare-publish/s")
			b.ReportMetric(total/following.Seconds(), "follow/s")
			b.ReportMetric(publishing.Seconds()/relaying.Seconds(), "of-raw-publish")
			b.ReportMetric((publishing+following).Seconds()/relaying.Seconds(), "of-both-in-turn")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// awaitPublished waits for events that are published and noted. It asks the relay,
// which costs nothing: the database has enough to do.
func awaitPublished(b *testing.B, r *relay.Relay, count int64) {
	b.Helper()
	await(b, func() bool { return r.Stats().Published >= count })
}

// awaitCheckpoint makes sure that nothing is left to do.
func (w *world) awaitCheckpoint(b *testing.B, end es.Position) {
	b.Helper()
	await(b, func() bool { return es.Position(w.checkpoint()) >= end })
}

// await has the patience that a busy machine needs.
func await(b *testing.B, done func() bool) {
	b.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Minute); !done(); <-tick.C {
		if time.Now().After(deadline) {
			b.Fatal("the relay has not finished within five minutes")
		}
	}
}

func elapsed(work func()) time.Duration {
	began := time.Now()
	work()
	return time.Since(began)
}

// placed is what an event of the benchmark says.
type placed struct {
	CustomerID string `json:"customerId"`
	Lines      []struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	} `json:"lines"`
	Total int64 `json:"total"`
}

// repriced reads and writes the data, as the translation of a service does.
func repriced(_ context.Context, r es.Recorded) ([]eventbus.Event, error) {
	var data placed
	if err := json.Unmarshal(r.Data, &data); err != nil {
		return nil, err
	}
	text, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	const typ = "order.events.placed.v1"
	return []eventbus.Event{{
		ID: cause.IntegrationID(r.ID, typ).String(), Source: "/orderflow/order", Type: typ, Subject: r.AggregateID().String(),
		Time: r.At, Data: text, Sequence: int64(r.Revision), CorrelationID: r.Metadata.CorrelationID, CausationID: r.Metadata.CausationID,
	}}, nil
}

// fill commits a round.
func (w *world) fill(b *testing.B) {
	b.Helper()
	client := w.server.Client(b)
	data := []byte(`{"customerId":"0190a1b2-0000-7000-8000-000000000001","lines":[{"sku":"mug","quantity":2},{"sku":"pen","quantity":1},` +
		`{"sku":"` + strings.Repeat("p", 60) + `","quantity":3}],"total":12345}`)
	metadata := []byte(`{"version":1,"$correlationId":"0190a1b2-0000-7000-8000-000000000002","$causationId":"0190a1b2-0000-7000-8000-000000000003"}`)
	for stream := range benchStreams {
		events := make([]esdb.EventData, benchEvents/benchStreams)
		for i := range events {
			events[i] = esdb.EventData{EventID: uuid.New(), EventType: "placed", ContentType: esdb.ContentTypeJson, Data: data, Metadata: metadata}
		}
		if _, err := client.AppendToStream(b.Context(), "order-"+order(stream), esdb.AppendToStreamOptions{}, events...); err != nil {
			b.Fatal(err)
		}
	}
}

var errEnough = errors.New("enough")

// followAlone reads a round and does nothing with it.
func (w *world) followAlone(b *testing.B, after es.Position) {
	b.Helper()
	seen := 0
	err := w.store.Follow(b.Context(), after, []string{"order-"}, func(_ context.Context, batch es.Batch) error {
		if seen += len(batch.Events); seen >= benchEvents {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		b.Fatal(err)
	}
}

func (w *world) translated(b *testing.B, after es.Position) (all []eventbus.Event) {
	b.Helper()
	err := w.store.Follow(b.Context(), after, []string{"order-"}, func(ctx context.Context, batch es.Batch) error {
		for _, r := range batch.Events {
			events, err := repriced(ctx, r)
			if err != nil {
				return err
			}
			all = append(all, events...)
		}
		if len(all) >= benchEvents {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		b.Fatal(err)
	}
	return all
}

// broker is a RabbitMQ with one quorum queue for everything.
type broker struct {
	bus       *rabbitmq.Bus
	conn      *amqp.Connection
	namespace string
}

func openBroker(b *testing.B) *broker {
	b.Helper()
	url := rabbitmqtest.URL(b)
	conn, err := amqp.Dial(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	namespace := rabbitmqtest.Namespace(b, url, "all")
	bus, err := rabbitmq.Open(b.Context(), rabbitmq.Config{URL: url, Namespace: namespace})
	if err != nil {
		b.Fatal(err)
	}
	queue := eventbus.Queue{Name: "all", Patterns: []string{"#"}}
	subscription, err := bus.Subscribe(b.Context(), queue, func(context.Context, []eventbus.Delivery) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	if err := subscription.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	k := &broker{bus, conn, namespace}
	b.Cleanup(func() { k.close(b) })
	return k
}

func (k *broker) close(b *testing.B) {
	if err := k.bus.Close(context.Background()); err != nil {
		b.Error(err)
	}
}

func (k *broker) channel(b *testing.B) *amqp.Channel {
	b.Helper()
	ch, err := k.conn.Channel()
	if err != nil {
		b.Fatal(err)
	}
	return ch
}

func (k *broker) purge(b *testing.B) {
	b.Helper()
	ch := k.channel(b)
	defer ch.Close()
	if _, err := ch.QueuePurge(k.namespace+".all", false); err != nil {
		b.Fatal(err)
	}
}

// publishRaw publishes with the bare client as well as it can be done.
func (k *broker) publishRaw(b *testing.B, events []eventbus.Event, message func(eventbus.Event) amqp.Publishing) {
	b.Helper()
	ch := k.channel(b)
	defer ch.Close()
	rabbitmqtest.Publish(b, ch, k.namespace+".events", events[0].Type, events, rabbitmqtest.Window, message)
}
