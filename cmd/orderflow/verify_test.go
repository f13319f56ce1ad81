package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/embedded"
	"orderflow/cmd/orderflow/internal/servers"
	"orderflow/cmd/orderflow/internal/verify"
	"orderflow/pkg/sqldb"
)

// eachDatabase runs a test on a system whose databases are SQLite, and on one
// whose databases are PostgreSQL and whose bus is RabbitMQ.
func eachDatabase(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("postgres", func(t *testing.T) {
		var room *servers.Room
		t.Cleanup(func() { // behind the one that stops the system
			if room != nil {
				if err := room.Remove(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
		w := newWorld(t)
		w.realServers()
		var err error
		if room, err = servers.Make(t.Context(), w.environ["EVENTBUS_URL"], w.environ["POSTGRES_URL"], embedded.Names()); err != nil {
			t.Fatal(err)
		}
		maps.Copy(w.environ, room.Environ())
		test(t, w)
	})
}

// database is the database of a service of the world.
func (w *world) database(service string) sqldb.DB {
	w.t.Helper()
	url := w.environ["DATABASE_URL_"+strings.ToUpper(service)]
	if url == "" {
		url = "sqlite://" + w.dir.Database(service)
	}
	db, err := sqldb.Open(w.t.Context(), url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(db.Close)
	return db
}

// shop is a system that is up, with somebody who orders in it.
type shop struct {
	*client.Client
	t        *testing.T
	customer string
	sku      string
}

func (w *world) shop() *shop {
	w.t.Helper()
	services := client.New(w.state().URLs, 4)
	w.t.Cleanup(services.Close)
	s := &shop{Client: services, t: w.t, sku: "tea"}
	s.must(services.ListProduct(w.t.Context(), client.Product{SKU: s.sku, Name: "Tea", Price: client.Money{Amount: 990, Currency: "EUR"}}))
	s.customer = s.register()
	return s
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) register() string {
	s.t.Helper()
	customer, err := s.RegisterCustomer(s.t.Context(), client.Customer{
		Name: "Ada Lovelace", Email: "ada@example.org", Address: client.Address{Line1: "1 St James's Square", City: "London", Postcode: "SW1Y 4JH", Country: "GB"},
	})
	s.must(err)
	return customer.ID
}

// soon repeats what a service may not be ready for yet.
func (s *shop) soon(what string, attempt func(context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	s.must(s.Eventually(ctx, what, attempt))
}

// order places an order of two and brings it to a status.
func (s *shop) order(status string) string {
	s.t.Helper()
	var id string
	s.soon("the order is taken", func(ctx context.Context) error {
		order, err := s.PlaceOrder(ctx, s.customer, client.Line{SKU: s.sku, Quantity: 2})
		id = order.ID
		return err
	})
	switch status {
	case "packed", "dispatched":
		s.soon("it is packed", func(ctx context.Context) error { return s.Pack(ctx, id, "Grace") })
	case "rejected":
		s.soon("it is rejected", func(ctx context.Context) error { return s.Reject(ctx, id, "broken") })
	case "cancelled":
		s.must(s.CancelOrder(s.t.Context(), id, "no more"))
	}
	if status == "dispatched" {
		s.soon("it is dispatched", func(ctx context.Context) error { return s.Dispatch(ctx, id, "DHL", "T-1") })
	}
	return id
}

// isFine waits until there is nothing to say about the system.
func (w *world) isFine() {
	w.t.Helper()
	var last said
	defer func() {
		if w.t.Failed() {
			w.t.Logf("%+v", last)
		}
	}()
	eventually(w.t, "everything is as it should be", func() bool {
		last = w.orderflow("verify", "--lag", "1s")
		return last.code == 0
	})
	if !strings.Contains(last.out, "is shown everywhere, once, as it was committed") {
		w.t.Errorf("it does not say so:\n%s", last.out)
	}
}

// fault is something wrong in the database of a service, and how it is told.
type fault struct {
	service, statement string
	args               []any
	told               []verify.Difference
}

func TestVerifyFindsEveryFaultAndNothingElse(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		w.must("up")
		s := w.shop()
		kinds := []string{"placed", "packed", "dispatched", "cancelled", "rejected"}
		orders := map[string][]string{}
		for range 6 {
			for _, kind := range kinds {
				orders[kind] = append(orders[kind], s.order(kind))
			}
		}
		second := s.register()
		w.isFine()

		next := func(kind string) string { // an order that no other fault is about
			id := orders[kind][0]
			orders[kind] = orders[kind][1:]
			return id
		}
		faults := s.faults(next, second)
		want := []verify.Difference{}
		for _, f := range faults {
			err := w.database(f.service).Update(t.Context(), func(tx sqldb.Tx) error {
				n, err := tx.Exec(t.Context(), f.statement, f.args...)
				if err == nil && n == 0 && !strings.Contains(f.statement, " TABLE ") {
					err = errors.New("nothing was changed")
				}
				return err
			})
			if err != nil {
				t.Fatalf("the test is wrong: %s: %s: %v", f.service, f.statement, err)
			}
			want = append(want, f.told...)
		}

		told := w.orderflow("verify", "--lag", "1s", "--json")
		var report verify.Report
		if err := json.Unmarshal([]byte(told.out), &report); err != nil || told.code != 1 {
			t.Fatalf("%v, %+v", err, told)
		}
		byText := func(a, b verify.Difference) int { return strings.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)) }
		slices.SortFunc(want, byText)
		slices.SortFunc(report.Differences, byText)
		if diff := cmp.Diff(want, report.Differences); diff != "" {
			t.Errorf("(-should be told +is told)\n%s", diff)
		}

		// The same for people.
		text := w.orderflow("verify", "--lag", "1s")
		if text.code != 1 || !strings.Contains(text.err, fmt.Sprintf("%d differences", len(want))) {
			t.Errorf("%+v", text)
		}
		for _, line := range []string{"\norder\n", "\npacking\n", "\ndispatch\n", "\ncrm\n", "\nreporting\n", "should be 1980 EUR", "is not there", "does not follow from anything"} {
			if !strings.Contains(text.out, line) {
				t.Errorf("%q is missing:\n%s", line, text.out)
			}
		}
	})
}

// faults are of every kind, in every service.
func (s *shop) faults(next func(kind string) string, customer string) []fault {
	about := func(service string, problem verify.Problem, subject, field, is, should string) []verify.Difference {
		return []verify.Difference{{Service: service, Problem: problem, Kind: "order", Subject: subject, Field: field, Is: is, Should: should}}
	}
	nobody := func() string { return uuid.NewString() }
	var faults []fault
	plant := func(service, statement string, told []verify.Difference, args ...any) {
		faults = append(faults, fault{service, statement, args, told})
	}
	today := time.Now().UTC().Format(time.DateOnly)

	// The list of orders, and order's copies.
	a, b, c, d := next("placed"), next("packed"), next("dispatched"), nobody()
	plant("order", `DELETE FROM order_list WHERE order_id = $1`, about("order", verify.Missing, a, "", "", ""), a)
	plant("order", `UPDATE order_list SET state = replace(state, '"amount":1980', '"amount":1981') WHERE order_id = $1`,
		about("order", verify.Different, b, "total", "1981 EUR", "1980 EUR"), b)
	plant("order", `UPDATE order_list SET version = version + 5 WHERE order_id = $1`, about("order", verify.Ahead, c, "lastSequence", "7", "2"), c)
	plant("order", `INSERT INTO order_list (order_id, customer_id, status, placed_at, version, state, written_at)
		SELECT CAST($2 AS TEXT), customer_id, status, placed_at, version, state, 1 FROM order_list WHERE order_id = $1`,
		about("order", verify.Unfounded, d, "", "", ""), c, d)
	plant("order", `DELETE FROM customer_copy WHERE customer_id = $1`,
		[]verify.Difference{{Service: "order", Problem: verify.Missing, Kind: "customer", Subject: customer}}, customer)
	plant("order", `UPDATE product_copy SET price_amount = 1 WHERE sku = $1`,
		[]verify.Difference{{Service: "order", Problem: verify.Different, Kind: "product", Subject: s.sku, Field: "price", Is: "1 EUR", Should: "990 EUR"}}, s.sku)

	// What was announced.
	a, b = next("placed"), nobody()
	plant("order", `DELETE FROM relay_published WHERE subject = $1`, nil, a)
	plant("order", `INSERT INTO relay_published (id, name, type, subject, sequence, correlation_id, causation_id, published_at)
		VALUES ($2, 'order', 'order.events.placed.v1', $1, 0, '', $2, 1)`,
		about("order", verify.Uncommitted, b, "order.events.placed.v1 "+b, "", ""), b, b)
	faults[len(faults)-2].told = []verify.Difference{{Service: "order", Problem: verify.Unannounced, Kind: "order", Subject: a, Field: "order-placed " + s.event(a)}}

	// The jobs of packing.
	a, b, c, d = next("placed"), next("packed"), next("cancelled"), nobody()
	e, f := next("dispatched"), next("rejected")
	plant("packing", `DELETE FROM job WHERE order_id = $1`, about("packing", verify.Missing, a, "", "", ""), a)
	plant("packing", `UPDATE job SET lines = replace(lines, '"quantity":2', '"quantity":3') WHERE order_id = $1`,
		about("packing", verify.Different, b, "lines", "3 tea", "2 tea"), b)
	plant("packing", `UPDATE job SET rejected_at = 0, cancelled_at = 0 WHERE order_id = $1`, nil, f)
	faults[len(faults)-1].told = []verify.Difference{
		{Service: "packing", Problem: verify.Different, Kind: "order", Subject: f, Field: "status", Is: "pending", Should: "rejected"},
		{Service: "packing", Problem: verify.Different, Kind: "order", Subject: f, Field: "cancelledAt", Should: s.fact("crm", f, "cancelledAt")},
	}
	plant("packing", `UPDATE job SET order_sequence = 40 WHERE order_id = $1`, about("packing", verify.Ahead, c, "lastSequence", "40", "1"), c)
	plant("packing", `INSERT INTO job (order_id, version, status, customer_id, lines, placed_at, correlation_id, cancelled_at, packed_at, packed_by, rejected_at, reason, order_sequence, changed_at)
		SELECT CAST($2 AS TEXT), version, status, customer_id, lines, placed_at, correlation_id, cancelled_at, packed_at, packed_by, rejected_at, reason, order_sequence, 1 FROM job WHERE order_id = $1`,
		about("packing", verify.Unfounded, d, "", "", ""), c, d)
	plant("packing", `CREATE TABLE copy AS SELECT * FROM job`, nil)
	plant("packing", `DROP TABLE job`, nil)
	plant("packing", `ALTER TABLE copy RENAME TO job`, nil) // without its primary key
	plant("packing", `INSERT INTO job SELECT * FROM job WHERE order_id = $1`, about("packing", verify.Double, e, "rows", "2", "1"), e)

	// The shipments of dispatch.
	a, b, c = next("packed"), next("dispatched"), next("placed")
	plant("dispatch", `DELETE FROM shipment WHERE order_id = $1`, about("dispatch", verify.Missing, a, "", "", ""), a)
	plant("dispatch", `UPDATE shipment SET dispatched_at = 0 WHERE order_id = $1`, nil, b)
	faults[len(faults)-1].told = []verify.Difference{
		{Service: "dispatch", Problem: verify.Different, Kind: "order", Subject: b, Field: "status", Is: "ready", Should: "dispatched"},
		{Service: "dispatch", Problem: verify.Different, Kind: "order", Subject: b, Field: "dispatchedAt", Should: s.fact("crm", b, "dispatchedAt")},
	}
	plant("dispatch", `INSERT INTO shipment (order_id, version, status, customer_id, packed_at, correlation_id, cancelled_at, dispatched_at, carrier, tracking_number, recipient, address, packing_sequence, changed_at)
		SELECT CAST($2 AS TEXT), version, 'ready', customer_id, packed_at, correlation_id, cancelled_at, 0, '', '', '', '', packing_sequence, 1 FROM shipment WHERE order_id = $1`,
		about("dispatch", verify.Unfounded, c, "status", "ready", ""), b, c)
	plant("dispatch", `UPDATE customer SET address_sequence = 9 WHERE customer_id = $1`,
		[]verify.Difference{{Service: "dispatch", Problem: verify.Ahead, Kind: "customer", Subject: customer, Field: "lastSequence", Is: "9", Should: "0"}}, customer)

	// The stories of crm, and its mails.
	a, b, c, d = next("placed"), next("packed"), next("cancelled"), next("rejected")
	plant("crm", `DELETE FROM customer_order WHERE order_id = $1`, about("crm", verify.Missing, a, "", "", ""), a)
	plant("crm", `UPDATE customer_order SET total_amount = total_amount + 1 WHERE order_id = $1`,
		about("crm", verify.Different, b, "total", "1981 EUR", "1980 EUR"), b)
	plant("crm", `INSERT INTO mail (mail_id, order_id, customer_id, kind, status, recipient, attempts, due_at, reason, correlation_id, causation_id, written_at, settled_at)
		SELECT 'another', order_id, customer_id, kind, status, recipient, attempts, due_at, reason, correlation_id, causation_id, written_at, settled_at
		FROM mail WHERE order_id = $1 AND kind = 'order-cancelled'`, about("crm", verify.Double, c, "mail order-cancelled", "2", "1"), c)
	plant("crm", `DELETE FROM mail WHERE order_id = $1 AND kind = 'order-confirmation'`, about("crm", verify.Missing, d, "mail order-confirmation", "", ""), d)

	// The rows of reporting, and what it has counted.
	a, b = next("placed"), next("dispatched")
	plant("reporting", `DELETE FROM order_fact WHERE order_id = $1`, about("reporting", verify.Missing, a, "", "", ""), a)
	plant("reporting", `UPDATE order_fact SET amount = amount - 1 WHERE order_id = $1`, about("reporting", verify.Different, b, "total", "1979 EUR", "1980 EUR"), b)
	plant("reporting", `DELETE FROM customer WHERE customer_id = $1`,
		[]verify.Difference{{Service: "reporting", Problem: verify.Missing, Kind: "customer", Subject: customer}}, customer)
	plant("reporting", `INSERT INTO movement (figure, slot, currency, orders, amount) SELECT 'placed', max(slot), 'EUR', 1, 50 FROM total WHERE figure = 'placed'`,
		[]verify.Difference{
			{Service: "reporting", Problem: verify.Different, Kind: "sum", Subject: "summary", Field: "orders that are placed", Is: "7", Should: "6"},
			{Service: "reporting", Problem: verify.Different, Kind: "sum", Subject: "summary", Field: "revenue in EUR", Is: "35690", Should: "35640"},
			{Service: "reporting", Problem: verify.Different, Kind: "sum", Subject: today, Field: "orders", Is: "31", Should: "30"},
			{Service: "reporting", Problem: verify.Different, Kind: "sum", Subject: today, Field: "revenue in EUR", Is: "35690", Should: "35640"},
		})
	return faults
}

// event is the id of the first event of an order.
func (s *shop) event(order string) string {
	s.t.Helper()
	trace, err := s.Trace(s.t.Context(), "order", order)
	s.must(err)
	for _, item := range trace {
		if item.Kind == "appended" {
			return item.ID
		}
	}
	s.t.Fatalf("nothing was committed of %s", order)
	return ""
}

// fact is what the row of a service says about an order.
func (s *shop) fact(service, order, name string) string {
	s.t.Helper()
	rows, err := s.LedgerOf(s.t.Context(), service, order)
	s.must(err)
	if len(rows) != 1 {
		s.t.Fatalf("%d rows of %s", len(rows), order)
	}
	return rows[0].Facts[name]
}

// What is on its way is no fault, whoever looks.
func TestVerifyFindsNothingOnABusySystem(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	s := w.shop()
	ctx, stop := context.WithCancel(t.Context())
	var placed atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pace := time.NewTicker(20 * time.Millisecond) // it shall be busy, and not choke
		defer pace.Stop()
		for ctx.Err() == nil {
			<-pace.C
			order, err := s.PlaceOrder(ctx, s.customer, client.Line{SKU: s.sku, Quantity: 1})
			if err != nil {
				continue // not known yet, or at the end
			}
			if placed.Add(1)%2 == 0 {
				_ = s.CancelOrder(ctx, order.ID, "no more")
				continue
			}
			_ = s.Eventually(ctx, "it is packed", func(ctx context.Context) error { return s.Pack(ctx, order.ID, "Grace") })
		}
	}()
	for placed.Load() < 50 && !t.Failed() {
		if told := w.orderflow("verify", "--lag", "10s"); told.code != 0 {
			t.Errorf("%+v", told)
		}
	}
	stop()
	<-ended
	w.isFine()
}

func TestVerifyThatCannotLookSaysWhoIsAway(t *testing.T) {
	w := newWorld(t)
	if told := w.orderflow("verify"); told.code != 2 || !strings.Contains(told.err, "nothing is up") {
		t.Errorf("before anything is up: %+v", told)
	}
	if told := w.orderflow("verify", "--lag=-1s"); told.code != 1 || !strings.Contains(told.err, "--lag") {
		t.Errorf("a lag that cannot be: %+v", told)
	}
	if told := w.orderflow("verify", "--url", "crm=http://127.0.0.1:1"); told.code != 2 || !strings.Contains(told.err, "catalog is missing") {
		t.Errorf("half a system: %+v", told)
	}
	w.must("up")
	urls := maps.Clone(w.state().URLs)
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	urls["crm"] = nobody.URL
	args := []string{"verify", "--event-store", w.state().EventStore}
	for name, url := range urls {
		args = append(args, "--url", name+"="+url)
	}
	if told := w.orderflow(args...); told.code != 2 || !strings.Contains(told.err, "cannot look: crm does not answer: connection refused") {
		t.Errorf("crm is away: %+v", told)
	}
	store := "esdb://" + strings.TrimPrefix(nobody.URL, "http://") + "?tls=false"
	if told := w.orderflow("verify", "--event-store", store); told.code != 2 || !strings.Contains(told.err, "the event store") {
		t.Errorf("the event store is away: %+v", told)
	}
	if told := w.orderflow("verify", "--help"); told.code != 0 || !strings.Contains(strings.Join(strings.Fields(told.out), " "), "0 everything is as it should be; 1 something is not; 2 a service") {
		t.Errorf("%+v", told)
	}
}
