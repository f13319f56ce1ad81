package order_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"orderflow/pkg/cause"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

// world is the order service with an event store of its own. The tests speak
// HTTP with it, and are its neighbours on the bus.
type world struct {
	*servicetest.Service
	t     *testing.T
	store *esdbservertest.Server
}

// start runs the service until the test ends, and waits until it is ready.
func start(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return startOn(t, sqldbtest.SQLiteURL(t))
}

// startOn is start with a database.
func startOn(t *testing.T, database string) *world {
	t.Helper()
	w := &world{Service: servicetest.New(t, order.Run, database, "order.events.#"), t: t}
	w.store = w.WithEventStore()
	w.Start()
	return w
}

// tell publishes what another service has to say.
func (w *world) tell(typ, subject string, sequence int64, data fields) eventbus.Event {
	w.t.Helper()
	event := servicetest.Event(typ, subject, sequence, data)
	w.Publish(event)
	return event
}

type fields = map[string]any

func price(amount int64, currency string) fields {
	return fields{"amount": amount, "currency": currency}
}

// customer registers one and returns the id.
func (w *world) customer() string {
	id := cause.NewID().String()
	w.tell("customer.events.created.v1", id, 0, fields{"customerId": id, "name": "Ann Doe", "email": "ann@example.com"})
	w.until(id, "mug", "unknown-customer", false)
	return id
}

func (w *world) deactivate(customer string) {
	w.tell("customer.events.deactivated.v1", customer, 1, fields{"customerId": customer, "reason": "moved away"})
	w.until(customer, "mug", "customer-deactivated", true)
}

// product lists one and waits until it can be ordered.
func (w *world) product(sku string, amount int64, currency string) {
	w.tell("catalog.events.product_listed.v1", sku, 0, fields{"sku": sku, "name": "The " + sku, "price": price(amount, currency)})
	w.until(w.customer(), sku, "unknown-product", false)
}

// until asks for an impossible order (so many that the total is too large)
// until it is refused, or no longer refused, for a reason.
func (w *world) until(customer, sku, code string, refused bool) {
	w.t.Helper()
	sqldbtest.Eventually(w.t, code, func() bool {
		a := w.Call("POST", "/orders", fields{"customerId": customer, "lines": []fields{
			{"sku": sku, "quantity": 1}, {"sku": "no-such-" + sku, "quantity": 1},
		}})
		if code == "unknown-product" { // the first line is known when the second is the one at fault
			return strings.Contains(string(a.Body), "lines[1]")
		}
		return strings.HasSuffix(a.Text("type"), ":"+code) == refused
	})
}

// placed is an order of one mug.
func (w *world) placed(customer string, headers ...string) string {
	w.t.Helper()
	return w.Call("POST", "/orders", mugFor(customer), headers...).Want(http.StatusCreated).Text("orderId")
}

func mugFor(customer string) fields {
	return fields{"customerId": customer, "lines": []fields{{"sku": "mug", "quantity": 1}}}
}

// shown waits until the list has an order with a version.
func (w *world) shown(orderID string, version float64) {
	w.t.Helper()
	sqldbtest.Eventually(w.t, "order "+orderID+" in the list", func() bool {
		var page struct{ Items []map[string]any }
		w.Get("/orders?limit=100").Want(http.StatusOK).Into(&page)
		return slices.ContainsFunc(page.Items, func(o map[string]any) bool {
			return o["orderId"] == orderID && o["version"] == version
		})
	})
}

// streams counts the streams of orders in the event store.
func (w *world) streams() map[string]int {
	w.t.Helper()
	count := map[string]int{}
	for _, e := range w.store.All(w.t) {
		if strings.HasPrefix(e.StreamID, "order-") {
			count[e.StreamID]++
		}
	}
	return count
}

func fresh() string { return uuid.NewString() }

// scribble writes an event that nobody here understands.
func (w *world) scribble(order string) {
	w.t.Helper()
	w.store.Append(w.t, "order-"+order, esdb.EventData{
		EventID: uuid.New(), EventType: "order-teleported", ContentType: esdb.ContentTypeJson,
		Data: []byte(`{}`), Metadata: []byte(`{"version":1}`),
	})
}
