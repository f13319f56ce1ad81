package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// poisonWaitsForAPerson has a stranger say something about an order that none of
// its readers understands.
func poisonWaitsForAPerson(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 2))
	poison := w.aStrangerSays("order.events.cancelled.v1", o.OrderID, `17`)
	readers := []string{"packing", "dispatch", "crm", "reporting"}
	for _, reader := range readers {
		w.Eventually(reader+" has parked it", func() error {
			list, err := w.operator("list", "--service", reader, "--subject", o.OrderID, "--status", "parked")
			if err == nil && !strings.Contains(list, poison) {
				err = errors.New(list)
			}
			return err
		})
	}

	// The order goes on, everywhere.
	w.Packer().Packs(o)
	w.Dispatcher().Dispatches(o)
	o.Becomes("dispatched")
	w.crmShows(anna, o, "dispatched")

	// Somebody looks at it, tries it again, which helps nothing, and gives it up.
	if shown, err := w.operator("show", poison, "--service", "packing"); err != nil || !strings.Contains(shown, `"data": 17`) {
		w.t.Errorf("shown: %v\n%s", err, shown)
	}
	if said, err := w.operator("redrive", poison, "--service", "packing"); err != nil || !strings.Contains(said, "1 redriven") {
		w.t.Errorf("redriven: %v\n%s", err, said)
	}
	w.Eventually("packing has parked it again", func() error {
		list, err := w.operator("list", "--service", "packing", "--subject", o.OrderID, "--status", "parked")
		if err == nil && !strings.Contains(list, poison) {
			err = errors.New(list)
		}
		return err
	})
	if said, err := w.operator("discard", poison, "--yes"); err != nil || !strings.Contains(said, fmt.Sprintf("%d discarded", len(readers))) {
		w.t.Errorf("discarded: %v\n%s", err, said)
	}
	if list, err := w.operator("list", "--subject", o.OrderID); err != nil || strings.Contains(list, poison) {
		w.t.Errorf("afterwards: %v\n%s", err, list)
	}
	if _, err := w.operator("show", poison); err == nil {
		w.t.Error("it can still be shown")
	}
}

// mendedMistakeIsRedriven makes the database of packing refuse one order, as a
// mistake in a migration could.
func mendedMistakeIsRedriven(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	w.Product("rare", 990, "EUR")
	mend := w.packingRefuses(w.sku("rare"))
	refused, other := anna.Orders(line("rare", 1)), anna.Orders(line("tea", 1))
	letters := func(with string) []deadLetter {
		var found []deadLetter
		w.Eventually("packing holds an event with "+with, func() error {
			list, err := w.operator("list", "--json", "--service", "packing", "--subject", refused.OrderID)
			if err != nil || !strings.Contains(list, with) {
				return errors.Join(err, errors.New(list))
			}
			found = nil
			for decoder := json.NewDecoder(strings.NewReader(list)); decoder.More(); {
				var letter deadLetter
				if err := decoder.Decode(&letter); err != nil {
					return final{err}
				}
				found = append(found, letter)
			}
			return nil
		})
		return found
	}
	first := letters("not this one")
	if len(first) != 1 || first[0].Status != "held" || first[0].Event.Type != "order.events.placed.v1" {
		w.t.Fatalf("held: %+v", first)
	}

	// What happens to the order waits behind; other orders do not.
	refused.IsCancelled("changed my mind")
	if both := letters("order.events.cancelled.v1"); len(both) != 2 || both[0].Attempts != 0 {
		w.t.Errorf("the later one does not wait behind the first: %+v", both)
	}
	w.Packer().Packs(other)
	other.Becomes("packed")
	w.crmShows(anna, refused, "cancelled")

	mend()
	// It is tried again by itself, too, and may be done before anybody asks.
	said, err := w.operator("redrive", first[0].ID, "--service", "packing")
	if err != nil && !strings.Contains(said+err.Error(), "no dead letter has this id") {
		w.t.Errorf("redriven: %v\n%s", err, said)
	}
	w.Packer().Sees(refused, "cancelled")
	w.Eventually("packing holds nothing of it", func() error {
		list, err := w.operator("list", "--service", "packing", "--subject", refused.OrderID)
		if err == nil && !strings.HasPrefix(list, "no dead letters\n") {
			err = errors.New(list)
		}
		return err
	})
}

// deadLetter is what the test reads of one.
type deadLetter struct {
	ID, Status string
	Attempts   int
	Event      eventbus.Event
}

// operator runs orderflow deadletters on this system, as a person at another
// machine would.
func (w *world) operator(args ...string) (said string, err error) {
	args = append([]string{"deadletters"}, args...)
	for name, url := range w.urls {
		args = append(args, "--url", name+"="+url)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	output, err := exec.CommandContext(ctx, programs.path(w.t, "orderflow", "orderflow/cmd/orderflow"), args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, output)
	}
	return string(output), err
}

// aStrangerSays publishes an event that no service of the system has written,
// and returns its id. Of a customer who has changed the address and the contact
// it is the latest, and not behind what is yet to come.
func (w *world) aStrangerSays(typ, subject, data string) string {
	w.t.Helper()
	bus, err := service.OpenBus(w.t.Context(), w.bus, "stranger", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	event := eventbus.Event{
		ID: uuid.NewString(), Source: "/orderflow/stranger", Type: typ, Subject: subject, Time: time.Now().UTC(), Sequence: 3, Data: []byte(data),
	}
	if err := errors.Join(bus.Publish(ctx, event), bus.Close(ctx)); err != nil {
		w.t.Fatal(err)
	}
	return event.ID
}

// packingRefuses makes packing's database refuse jobs with a product, until the
// function it returns is called.
func (w *world) packingRefuses(sku string) (mend func()) {
	w.t.Helper()
	name := "mistake_" + w.scene
	statements := map[sqldb.Dialect][]string{
		sqldb.SQLite: {
			fmt.Sprintf(`CREATE TRIGGER %s BEFORE INSERT ON job WHEN NEW.lines LIKE '%%%s%%' BEGIN SELECT RAISE(ABORT, 'not this one'); END`, name, sku),
			fmt.Sprintf(`DROP TRIGGER %s`, name),
		},
		sqldb.Postgres: {
			fmt.Sprintf(`CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$`, name),
			fmt.Sprintf(`CREATE TRIGGER %s BEFORE INSERT ON job FOR EACH ROW WHEN (NEW.lines LIKE '%%%s%%') EXECUTE FUNCTION %s()`, name, sku, name),
			fmt.Sprintf(`DROP TRIGGER %s ON job`, name),
		},
	}
	in := func(choose func(all []string) []string) {
		w.t.Helper()
		db, err := sqldb.Open(w.t.Context(), w.databases["packing"])
		if err != nil {
			w.t.Fatal(err)
		}
		defer db.Close()
		err = db.Update(w.t.Context(), func(tx sqldb.Tx) error {
			for _, statement := range choose(statements[db.Dialect()]) {
				if _, err := tx.Exec(w.t.Context(), statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	in(func(all []string) []string { return all[:len(all)-1] })
	return func() { in(func(all []string) []string { return all[len(all)-1:] }) }
}
