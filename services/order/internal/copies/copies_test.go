package copies_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/copies"
	"orderflow/services/order/internal/domain"
)

const (
	ann = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"
	bob = "01928f3e-6c11-7a44-8b0d-1f2e3d4c5b6a"
)

// each runs fn on both databases with the tables of the service.
func each(t *testing.T, fn func(t *testing.T, db sqldb.DB)) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if err := errors.Join(
			inbox.Migrate(t.Context(), db),
			sqldb.Migrate(t.Context(), db, "order", os.DirFS("../../migrations")),
		); err != nil {
			t.Fatal(err)
		}
		fn(t, db)
	})
}

// consumer is the inbox that the copies are fed through.
func consumer(db sqldb.DB) (*copies.Copies, *inbox.Inbox) {
	c := copies.New(db)
	in := inbox.New(db, "order", slog.New(slog.DiscardHandler), inbox.Options{})
	c.Register(in)
	return c, in
}

// tell delivers the events as one batch of the bus.
func tell(t rapid.TB, in *inbox.Inbox, events ...eventbus.Event) {
	t.Helper()
	batch := make([]eventbus.Delivery, len(events))
	for i, e := range events {
		batch[i] = eventbus.Delivery{Event: e}
	}
	if err := in.Handle(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	if held, parked, err := in.Backlog(context.Background()); err != nil || held+parked > 0 {
		t.Fatalf("%d held, %d parked, %v", held, parked, err)
	}
}

// event is one that keeps its contract as far as the copies read it.
func event(typ, subject string, sequence int64, data map[string]any) eventbus.Event {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return eventbus.Event{
		ID: typ + "/" + subject + "/" + strconv.FormatInt(sequence, 10), Source: "/orderflow/test", Type: typ, Subject: subject,
		Sequence: sequence, Time: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), Data: text,
	}
}

func created(id string) eventbus.Event {
	return event("customer.events.created.v1", id, 0, map[string]any{"customerId": id, "name": "Ann"})
}

func deactivated(id string) eventbus.Event {
	return event("customer.events.deactivated.v1", id, 3, map[string]any{"customerId": id, "reason": "moved"})
}

func forgotten(id string) eventbus.Event {
	return event("customer.events.forgotten.v1", id, 4, map[string]any{"customerId": id})
}

func money(amount int64) map[string]any { return map[string]any{"amount": amount, "currency": "EUR"} }

func listed(sku string, price int64) eventbus.Event {
	return event("catalog.events.product_listed.v1", sku, 0, map[string]any{"sku": sku, "name": "The " + sku, "price": money(price)})
}

func repriced(sku string, sequence, price int64) eventbus.Event {
	return event("catalog.events.price_changed.v1", sku, sequence, map[string]any{
		"sku": sku, "oldPrice": money(1), "newPrice": money(price),
	})
}

func TestACustomerCanOrderBetweenRegistrationAndDeactivation(t *testing.T) {
	for name, test := range map[string]struct {
		heard []eventbus.Event
		want  error
	}{
		"nothing heard":                     {nil, copies.ErrUnknownCustomer},
		"another one heard of":              {[]eventbus.Event{created(bob)}, copies.ErrUnknownCustomer},
		"registered":                        {[]eventbus.Event{created(ann)}, nil},
		"deactivated":                       {[]eventbus.Event{created(ann), deactivated(ann)}, copies.ErrCustomerDeactivated},
		"deactivated, as heard first":       {[]eventbus.Event{deactivated(ann), created(ann)}, copies.ErrCustomerDeactivated},
		"forgotten":                         {[]eventbus.Event{created(ann), forgotten(ann)}, copies.ErrCustomerForgotten},
		"forgotten, as heard first":         {[]eventbus.Event{forgotten(ann), deactivated(ann), created(ann)}, copies.ErrCustomerForgotten},
		"forgotten, and nothing else yet":   {[]eventbus.Event{forgotten(ann)}, copies.ErrCustomerForgotten},
		"deactivated, and nothing else yet": {[]eventbus.Event{deactivated(ann)}, copies.ErrUnknownCustomer},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db sqldb.DB) {
				c, in := consumer(db)
				tell(t, in, test.heard...)
				if err := c.CheckCustomer(t.Context(), ann); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			})
		})
	}
}

func TestLinesArePricedAsTheCatalogLastSaid(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		c, in := consumer(db)
		tell(t, in, repriced("mug", 4, 400), listed("mug", 100), repriced("mug", 2, 200), listed("plate", 990))
		lines, err := c.Price(t.Context(), []copies.Wanted{{SKU: "plate", Quantity: 3}, {SKU: "mug", Quantity: 1}})
		if err != nil {
			t.Fatal(err)
		}
		want := []domain.Line{
			{SKU: "plate", Name: "The plate", Quantity: 3, UnitPrice: domain.Money{Amount: 990, Currency: "EUR"}},
			{SKU: "mug", Name: "The mug", Quantity: 1, UnitPrice: domain.Money{Amount: 400, Currency: "EUR"}},
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAProductThatIsNotKnownIsNamed(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		c, in := consumer(db)
		tell(t, in, listed("mug", 100), repriced("jug", 1, 500)) // the jug has a price and no name yet
		for _, sku := range []string{"jug", "vase", "MUG"} {
			_, err := c.Price(t.Context(), []copies.Wanted{{SKU: "mug", Quantity: 1}, {SKU: sku, Quantity: 1}})
			var at domain.LineError
			if !errors.As(err, &at) || at.Line != 1 || !errors.Is(err, copies.ErrUnknownProduct) {
				t.Errorf("%s: %v", sku, err)
			}
		}
	})
}

func TestADatabaseThatDoesNotAnswerRefusesNobody(t *testing.T) {
	each(t, func(t *testing.T, inner sqldb.DB) {
		db := &sqldbtest.Cuttable{DB: inner}
		db.Cut(true)
		c := copies.New(db)
		if err := c.CheckCustomer(t.Context(), ann); !sqldb.IsUnavailable(err) {
			t.Errorf("customer: %v", err)
		}
		if _, err := c.Price(t.Context(), []copies.Wanted{{SKU: "mug", Quantity: 1}}); !sqldb.IsUnavailable(err) {
			t.Errorf("price: %v", err)
		}
	})
}

func TestEverySampleOfWhatIsReadIsUnderstood(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		c, in := consumer(db)
		for _, typ := range in.Patterns() {
			tell(t, in, contractstest.Samples(t, typ)...)
		}
		for _, sample := range contractstest.Samples(t, "customer.events.created.v1") {
			if err := c.CheckCustomer(t.Context(), sample.Subject); errors.Is(err, copies.ErrUnknownCustomer) {
				t.Errorf("customer of sample %s is not known", sample.ID)
			}
		}
		for _, sample := range contractstest.Samples(t, "catalog.events.product_listed.v1") {
			lines, err := c.Price(t.Context(), []copies.Wanted{{SKU: sample.Subject, Quantity: 1}})
			if err != nil {
				t.Fatal(err)
			}
			if lines[0].Name == "" || lines[0].UnitPrice.Currency == "" {
				t.Errorf("sample %s became %v", sample.ID, lines[0])
			}
		}
	})
}

// TestAnyOrderOfDeliveryGivesTheSameCopies delivers a history in every order,
// with every duplicate, in batches of every size, also after the inbox has
// forgotten what it handled.
func TestAnyOrderOfDeliveryGivesTheSameCopies(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		_, in := consumer(db)
		rapid.Check(t, func(r *rapid.T) {
			history := []eventbus.Event{created(ann), created(bob), deactivated(bob), forgotten(bob), listed("mug", 100), listed("jug", 300)}
			for sequence := range rapid.Int64Range(0, 4).Draw(r, "prices") {
				history = append(history, repriced("mug", 2*sequence+1, 101+sequence))
			}
			if rapid.Bool().Draw(r, "jug repriced") {
				history = append(history, repriced("jug", 7, 700))
			}
			empty(t, db)
			tell(r, in, history...)
			want := rows(t, db)

			empty(t, db)
			extra := rapid.SliceOfN(rapid.SampledFrom(history), 0, 6).Draw(r, "twice")
			shuffled := rapid.Permutation(slices.Concat(history, extra)).Draw(r, "order")
			for len(shuffled) > 0 {
				n := rapid.IntRange(min(3, len(shuffled)), len(shuffled)).Draw(r, "batch")
				tell(r, in, shuffled[:n]...)
				shuffled = shuffled[n:]
				if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
					sqldbtest.Exec(t, db, `DELETE FROM inbox`)
				}
			}
			if diff := cmp.Diff(want, rows(t, db)); diff != "" {
				r.Errorf("in another order: %s", diff)
			}
		})
	})
}

func empty(t *testing.T, db sqldb.DB) {
	t.Helper()
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		for _, table := range []string{"customer_copy", "product_copy", "inbox"} {
			if _, err := tx.Exec(t.Context(), `DELETE FROM `+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rows is everything in the tables of copies.
func rows(t *testing.T, db sqldb.DB) []string {
	t.Helper()
	found, err := db.Query(t.Context(), `SELECT 'customer ' || customer_id || ' ' || created || ' ' || deactivated || ' ' || forgotten AS line FROM customer_copy
		UNION ALL SELECT 'product ' || sku || ' ' || COALESCE(name, '-') || ' ' || price_amount || price_currency || ' ' || price_sequence
			FROM product_copy ORDER BY line`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := sqldb.Collect(found, func(r sqldb.Row) (line string, err error) {
		err = r.Scan(&line)
		return line, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
