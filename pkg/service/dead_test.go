package service_test

import (
	"context"
	"database/sql"
	"net/http"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	_ "modernc.org/sqlite"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/service"
)

// An event that ends the process of its consumer again and again is given up by the broker. The service does not touch it
// any more: it shows it to a person, who decides, and handles the later ones of its subject.
func TestEventThatCrashesItsConsumerAgainAndAgainIsShownToAPerson(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		w := newWorld(t)
		path := strings.TrimPrefix(w.environ["EVENTBUS_URL"], "sqlite://")
		w.showsWhatCrashes(func() {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			// What the bus notes down while a hundred consumers are lost.
			for _, statement := range []string{
				`UPDATE delivery SET lost = 100`, `UPDATE queue SET alone = (SELECT max(message) FROM delivery) WHERE name = 'test'`,
			} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("rabbitmq", func(t *testing.T) {
		w := newWorld(t)
		broker := rabbitmqtest.URL(t)
		conn, err := amqp.Dial(broker)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		namespace := rabbitmqtest.Namespace(t, broker, "test")
		w.environ["EVENTBUS_URL"] = broker + "?namespace=" + namespace
		w.showsWhatCrashes(func() { crashConsumers(t, conn, namespace+".test") })
	})
}

// crashConsumers takes what is in a queue and gives it back, as the broker does for a consumer that is gone, until it is
// there no more.
func crashConsumers(t *testing.T, conn *amqp.Connection, queue string) {
	t.Helper()
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	defer channel.Close()
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for quiet := time.NewTimer(time.Minute); ; {
		select {
		case d := <-deliveries:
			if err := d.Reject(true); err != nil {
				t.Fatal(err)
			}
		case <-quiet.C:
			t.Fatal("the broker does not give up")
		case <-time.After(100 * time.Millisecond): // is it on its way to us again?
			state, err := channel.QueueDeclarePassive(queue+eventbus.DeadSuffix, true, false, false, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if state.Messages > 0 {
				return
			}
		}
	}
}

func (w *world) showsWhatCrashes(crash func()) {
	t := w.t
	w.startReady(parts) // makes the queue
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	bus, err := service.OpenBus(t.Context(), w.environ["EVENTBUS_URL"], "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	event := func(id string) eventbus.Event {
		return eventbus.Event{
			ID: id, Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: orderID, Time: time.Now(), Data: []byte(`{}`),
		}
	}
	if err := bus.Publish(t.Context(), event("crashes")); err != nil {
		t.Fatal(err)
	}
	crash()
	if err := bus.Publish(t.Context(), event("later")); err != nil {
		t.Fatal(err)
	}

	w.startReady(parts)
	var letters service.Page[service.DeadLetter]
	w.eventually("it is shown", func() bool {
		letters = as[service.Page[service.DeadLetter]](t, w.ask(http.MethodGet, "/deadletters", ""))
		return len(letters.Items) == 1
	})
	letter := letters.Items[0]
	if letter.ID != "crashes" || letter.Status != "parked" || !strings.Contains(letter.Reason, "the broker gave it up") {
		t.Errorf("%+v", letter)
	}
	handled := func() float64 { return w.metrics()["orderflow_inbox_handled_total"] }
	w.eventually("the later one was handled", func() bool { return handled() == 1 })
	w.eventually("nothing is left at the broker", func() bool { return w.metrics()["orderflow_queue_dead_depth"] == 0 })
	if dead := w.metrics()["orderflow_inbox_dead_total"]; dead != 1 {
		t.Errorf("orderflow_inbox_dead_total is %v", dead)
	}

	// A version that does not crash can handle it.
	if a := w.ask(http.MethodPost, "/deadletters/crashes/redrive", ""); a.status != http.StatusOK {
		t.Errorf("redriven: %d %s", a.status, a.body)
	}
	w.eventually("it was handled", func() bool { return handled() == 2 })
}
