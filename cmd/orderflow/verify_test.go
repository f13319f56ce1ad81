package main

import (
	"context"
	"encoding/json"
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
	"github.com/google/go-cmp/cmp/cmpopts"

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

func TestVerifyFindsEveryFaultAndNothingElse(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		w.must("up")
		s := w.shop()
		p := &planting{shop: s, w: w, orders: map[string][]string{}}
		p.prepare()
		w.isFine()
		want := p.plant()

		told := w.orderflow("verify", "--lag", "1s", "--json")
		var report verify.Report
		if err := json.Unmarshal([]byte(told.out), &report); err != nil || told.code != 1 {
			t.Fatalf("%v, %+v", err, told)
		}
		byText := func(a, b verify.Difference) int { return strings.Compare(a.Service+a.String(), b.Service+b.String()) }
		slices.SortFunc(want, byText)
		slices.SortFunc(report.Differences, byText)
		if diff := cmp.Diff(want, report.Differences, cmpopts.IgnoreFields(verify.Difference{}, "Mend")); diff != "" {
			t.Errorf("(-should be told +is told)\n%s", diff)
		}

		// The same for people.
		text := w.orderflow("verify", "--lag", "1s")
		if text.code != 1 || !strings.Contains(text.err, fmt.Sprintf("%d differences", len(want))) {
			t.Errorf("%+v", text)
		}
		for _, line := range []string{"\norder\n", "\npacking\n", "\ndispatch\n", "\ncrm\n", "\nreporting\n", "should be 1980 EUR", "is not there", "does not follow from anything", "to mend rows: orderflow rebuild --anyway crm"} {
			if !strings.Contains(text.out, line) {
				t.Errorf("%q is missing:\n%s", line, text.out)
			}
		}
	})
}

// What is on its way is no fault, whoever looks: while orders are placed, customers
// come and are forgotten, prices change, a read model is made anew and history is
// told again.
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
	others := make(chan struct{})
	go func() {
		defer close(others)
		s.comeAndGo(ctx, &placed)
		w.orderflow("rebuild", "--check", "crm")
		w.orderflow("replay", "--to", "reporting")
		s.comeAndGo(ctx, &placed)
	}()
	for placed.Load() < 50 && !t.Failed() {
		if told := w.orderflow("verify", "--lag", "10s"); told.code != 0 {
			t.Errorf("%+v", told)
		}
	}
	stop()
	<-ended
	<-others
	w.isFine()
}

// comeAndGo registers customers and has them forgotten, and changes prices, until
// some more orders were placed.
func (s *shop) comeAndGo(ctx context.Context, placed *atomic.Int64) {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for until := placed.Load() + 15; placed.Load() < until && ctx.Err() == nil; <-pace.C {
		customer, err := s.RegisterCustomer(ctx, client.Customer{
			Name: "Grace Hopper", Email: "grace@example.org", Address: client.Address{Line1: "1 Navy Yard", City: "Arlington", Postcode: "22202", Country: "US"},
		})
		if err == nil {
			_ = s.Forget(ctx, customer.ID)
		}
		_ = s.ChangePrice(ctx, s.sku, client.Money{Amount: 900 + placed.Load(), Currency: "EUR"})
	}
}

// An event that waits for a person is no fault of its own; where something
// differs, it is told with the command that has it tried again.
func TestVerifyTellsWhichDeadLetterMayBeTheReason(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	s := w.shop()
	id := s.order("placed")
	broken := event("order.events.delayed.v1", id, `{"orderId":"`+id+`","customerId":"`+s.customer+`","stage":"painting"}`)
	w.publish(broken)
	eventually(t, "crm has parked it", func() bool {
		return strings.Contains(w.must("deadletters", "list"), broken.ID)
	})
	w.isFine()
	err := w.database("crm").Update(t.Context(), func(tx sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `DELETE FROM customer_order WHERE order_id = $1`, id)
		return err
	})
	s.must(err)
	told := w.orderflow("verify", "--lag", "1s")
	want := "order " + id + ": it is not there (parked in the inbox of crm: orderflow deadletters redrive --service crm " + broken.ID + ")"
	if told.code != 1 || !strings.Contains(told.out, want) || !strings.Contains(told.err, "1 difference\n") {
		t.Errorf("%q is missing: %+v", want, told)
	}
}

func TestVerifyThatCannotLookSaysWhoIsAway(t *testing.T) {
	w := newWorld(t)
	if told := w.orderflow("verify"); told.code != 2 || !strings.Contains(told.err, "nothing is up") {
		t.Errorf("before anything is up: %+v", told)
	}
	if told := w.orderflow("verify", "--lag=-1s"); told.code != 2 || !strings.Contains(told.err, "--lag") {
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
	if told := w.orderflow(append(args, "--lag", "1s")...); told.code != 2 || !strings.Contains(told.err, "no answer from crm") ||
		!strings.Contains(told.out, "not checked: crm, it does not answer: connection refused") || !strings.Contains(told.out, "of the others, everything") {
		t.Errorf("crm is away: %+v", told)
	}
	store := "esdb://" + strings.TrimPrefix(nobody.URL, "http://") + "?tls=false"
	if told := w.orderflow("verify", "--event-store", store); told.code != 2 || !strings.Contains(told.err, "the event store") {
		t.Errorf("the event store is away: %+v", told)
	}
	if told := w.orderflow("verify", "--help"); told.code != 0 || !strings.Contains(strings.Join(strings.Fields(told.out), " "), "0 everything is as it should be; 1 something is not; 2 nothing wrong was found, but") {
		t.Errorf("%+v", told)
	}
}
