package order_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order"
)

// world is the order service with an event store, a bus and a database of its
// own. The tests speak HTTP with it, and are its neighbours on the bus.
type world struct {
	t     *testing.T
	url   string
	store *esdbservertest.Server
	bus   *sqlitebus.Bus

	mu        sync.Mutex
	announced []eventbus.Event
}

// start runs the service until the test ends, and waits until it is ready.
func start(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{
		Path: filepath.Join(t.TempDir(), "bus.db"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: esdbservertest.New(t), bus: bus}
	queue := eventbus.Queue{Name: "listener", Patterns: []string{"order.events.#"}}
	if _, err := bus.Subscribe(t.Context(), queue, w.hear); err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	w.url = "http://" + address
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	host := service.Host{
		Environ: map[string]string{
			"HTTP_ADDR": address, "DATABASE_URL": sqldbtest.SQLiteURL(t), "EVENTSTORE_URL": w.store.ConnectionString(),
			"EVENTBUS_URL": "sqlite://given-below", "LOG_LEVEL": "ERROR",
		},
		Log: testLog{t},
		OpenBus: func(context.Context, string, string, *slog.Logger) (eventbus.Bus, error) {
			return keptOpen{bus}, nil
		},
	}
	go func() { done <- order.Run(ctx, host) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := bus.Close(end); err != nil {
			t.Error(err)
		}
	})
	sqldbtest.Eventually(t, "ready", func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
	return w
}

// keptOpen is a bus that the service does not close.
type keptOpen struct{ eventbus.Bus }

func (keptOpen) Close(context.Context) error { return nil }

type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Logf("%s", line)
	return len(line), nil
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // it has done its work
	return listener.Addr().String()
}

// hear is what other services do with the events of this one.
func (w *world) hear(_ context.Context, batch []eventbus.Delivery) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, delivery := range batch {
		w.announced = append(w.announced, delivery.Event)
	}
	return nil
}

// heard waits for the event of a type about an order.
func (w *world) heard(typ, orderID string) eventbus.Event {
	w.t.Helper()
	var found eventbus.Event
	sqldbtest.Eventually(w.t, typ+" about "+orderID, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		i := slices.IndexFunc(w.announced, func(e eventbus.Event) bool { return e.Type == typ && e.Subject == orderID })
		if i >= 0 {
			found = w.announced[i]
		}
		return i >= 0
	})
	return found
}

// tell publishes what another service has to say.
func (w *world) tell(typ, subject string, sequence int64, data map[string]any) eventbus.Event {
	w.t.Helper()
	now := time.Now().UTC()
	data["occurredAt"] = now
	text, err := json.Marshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	name, _, _ := strings.Cut(typ, ".")
	event := eventbus.Event{
		ID: cause.NewID().String(), Source: "/orderflow/" + name, Type: typ, Subject: subject, Time: now, Data: text,
		CorrelationID: cause.NewID().String(), CausationID: cause.NewID().String(), Sequence: sequence,
	}
	if err := w.bus.Publish(w.t.Context(), event); err != nil {
		w.t.Fatal(err)
	}
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
		a := w.call("POST", "/orders", fields{"customerId": customer, "lines": []fields{
			{"sku": sku, "quantity": 1}, {"sku": "no-such-" + sku, "quantity": 1},
		}})
		if code == "unknown-product" { // the first line is known when the second is the one at fault
			return strings.Contains(string(a.body), "lines[1]")
		}
		return strings.HasSuffix(a.str("type"), ":"+code) == refused
	})
}

// answer is what the service said.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call sends a request; a body that is a string is sent as it is. headers are
// names and values in turn.
func (w *world) call(method, path string, body any, headers ...string) answer {
	w.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(w.t.Context()), method, w.url+path, content)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Error(err) // also from other goroutines
		return answer{t: w.t}
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Error(err)
	}
	return answer{w.t, response.StatusCode, response.Header, text}
}

// want fails the test unless the status is this one.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// refused fails the test unless this is the problem with that code, which
// blames these fields.
func (a answer) refused(status int, code string, locations ...string) answer {
	a.t.Helper()
	a.want(status)
	var problem struct {
		Type   string
		Status int
		Errors []struct{ Location, Message string }
	}
	a.into(&problem)
	if problem.Type != "urn:orderflow:problem:"+code || problem.Status != status ||
		a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Errorf("want %s, got %s: %s", code, a.header.Get("Content-Type"), a.body)
	}
	var got []string
	for _, e := range problem.Errors {
		got = append(got, e.Location)
	}
	if len(locations) > 0 && !slices.Equal(got, locations) {
		a.t.Errorf("blames %q, want %q: %s", got, locations, a.body)
	}
	return a
}

func (a answer) into(target any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, target); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
}

func (a answer) str(name string) string {
	var body map[string]any
	if json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	text, _ := body[name].(string)
	return text
}

// placed is an order of one mug.
func (w *world) placed(customer string, headers ...string) string {
	w.t.Helper()
	return w.call("POST", "/orders", mugFor(customer), headers...).want(http.StatusCreated).str("orderId")
}

func mugFor(customer string) fields {
	return fields{"customerId": customer, "lines": []fields{{"sku": "mug", "quantity": 1}}}
}

// shown waits until the list has an order with a version.
func (w *world) shown(orderID string, version float64) {
	w.t.Helper()
	sqldbtest.Eventually(w.t, "order "+orderID+" in the list", func() bool {
		var page struct{ Items []map[string]any }
		w.call("GET", "/orders?limit=100", nil).want(http.StatusOK).into(&page)
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
	_, err := w.store.Client(w.t).AppendToStream(w.t.Context(), "order-"+order, esdb.AppendToStreamOptions{}, esdb.EventData{
		EventID: uuid.New(), EventType: "order-teleported", ContentType: esdb.ContentTypeJson,
		Data: []byte(`{}`), Metadata: []byte(`{"version":1}`),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
