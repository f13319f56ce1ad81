package inbox_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb/sqldbtest"
)

// BenchmarkConsume takes events from a quorum queue of RabbitMQ into PostgreSQL,
// with an inbox and one row of a read model an event, in turns with a consumer
// written by hand on the raw client: a transaction a message, and a statement
// that is a transaction for a hundred. All prefetch what the bus does.
func BenchmarkConsume(b *testing.B) {
	const round = 4000
	for name, register := range map[string]func(*inbox.Inbox){"On": oneByOne, "OnBatch": allAtOnce} {
		for _, lanes := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/lanes=%d", name, lanes), func(b *testing.B) {
				db := sqldbtest.Postgres(b)
				in, hand, broker := newBenchInbox(b, db, register, lanes), newByHand(b, db), newBroker(b)
				var ours, all, one time.Duration
				for b.Loop() {
					broker.publish(b, benchEvents(round))
					ours += broker.consume(b, round, in.Handle)
					all += broker.consumeByHand(b, "hand", round, benchBatch, func(ctx context.Context, some []eventbus.Event) error { return hand.all(ctx, some) })
					slow := benchEvents(round / 10)
					for i := range slow {
						slow[i].Type = "slow.events.placed.v1"
					}
					broker.publish(b, slow)
					one += broker.consumeByHand(b, "slow", round/10, 1, func(ctx context.Context, some []eventbus.Event) error { return hand.one(ctx, some[0]) })
				}
				report(b, float64(b.N*round), ours, all, 10*one)
			})
		}
	}
}

// broker is a namespace of its own, with queues for the bus and for hands.
type broker struct {
	bus       *rabbitmq.Bus
	conn      *amqp.Connection
	namespace string
}

const brokerPatience = time.Minute

func newBroker(b *testing.B) *broker {
	b.Helper()
	url := rabbitmqtest.URL(b)
	conn, err := amqp.Dial(url)
	if err != nil {
		b.Fatal(err)
	}
	br := &broker{conn: conn, namespace: rabbitmqtest.Namespace(b, url, "bench", "hand", "slow")}
	if br.bus, err = rabbitmq.Open(b.Context(), rabbitmq.Config{URL: url, Namespace: br.namespace}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { br.close(b) })
	br.subscribe(b, func(context.Context, []eventbus.Delivery) error { return nil })() // declares
	ch := br.channel(b)
	for queue, pattern := range map[string]string{"hand": "order.#", "slow": "slow.#"} {
		if _, err := ch.QueueDeclare(br.namespace+"."+queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			b.Fatal(err)
		}
		if err := ch.QueueBind(br.namespace+"."+queue, pattern, br.namespace+".events", false, nil); err != nil {
			b.Fatal(err)
		}
	}
	return br
}

func (br *broker) channel(b *testing.B) *amqp.Channel {
	b.Helper()
	ch, err := br.conn.Channel()
	if err != nil {
		b.Fatal(err)
	}
	return ch
}

func (br *broker) close(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), brokerPatience)
	defer cancel()
	if err := br.bus.Close(ctx); err != nil {
		b.Error(err)
	}
	_ = br.conn.Close() // nothing is done with it any more
}

func (br *broker) publish(b *testing.B, events []eventbus.Event) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), brokerPatience)
	defer cancel()
	if err := br.bus.Publish(ctx, events...); err != nil {
		b.Fatal(err)
	}
}

func (br *broker) subscribe(b *testing.B, handle eventbus.Handler) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), brokerPatience)
	s, err := br.bus.Subscribe(ctx, eventbus.Queue{Name: "bench", Patterns: []string{"order.#"}, BatchSize: benchBatch}, handle)
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		defer cancel()
		if err := s.Close(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// consume is how long the bus takes for count events, from the first one on.
func (br *broker) consume(b *testing.B, count int64, handle eventbus.Handler) time.Duration {
	b.Helper()
	var handled atomic.Int64
	all := make(chan struct{})
	var began time.Time
	var once sync.Once
	stop := br.subscribe(b, func(ctx context.Context, batch []eventbus.Delivery) error {
		once.Do(func() { began = time.Now() })
		err := handle(ctx, batch)
		if err == nil && handled.Add(int64(len(batch))) == count {
			close(all)
		}
		return err
	})
	select {
	case <-all:
	case <-time.After(brokerPatience):
		b.Fatalf("%d of %d events after %s", handled.Load(), count, brokerPatience)
	}
	took := time.Since(began)
	stop()
	return took
}

// consumeByHand is the same on the raw client.
func (br *broker) consumeByHand(b *testing.B, queue string, count, size int, handle func(context.Context, []eventbus.Event) error) time.Duration {
	b.Helper()
	ch := br.channel(b)
	if err := ch.Qos(2*benchBatch, 0, false); err != nil {
		b.Fatal(err)
	}
	deliveries, err := ch.Consume(br.namespace+"."+queue, "", false, false, false, false, nil)
	if err != nil {
		b.Fatal(err)
	}
	var began time.Time
	for taken := 0; taken < count; {
		var some []eventbus.Event
		var last amqp.Delivery
		for len(some) < min(size, count-taken) {
			last = <-deliveries
			if began.IsZero() {
				began = time.Now()
			}
			subject, _ := last.Headers["ce-subject"].(string)
			some = append(some, eventbus.Event{ID: last.MessageId, Subject: subject, Data: last.Body})
		}
		if err := handle(b.Context(), some); err != nil {
			b.Fatal(err)
		}
		if err := last.Ack(true); err != nil {
			b.Fatal(err)
		}
		taken += len(some)
	}
	took := time.Since(began)
	if err := ch.Close(); err != nil {
		b.Fatal(err)
	}
	return took
}
