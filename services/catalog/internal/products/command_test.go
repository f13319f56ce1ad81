package products

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore returns a store without a bus: what is announced stays in the outbox.
func newStore(t *testing.T, db sqldb.DB) *Store {
	t.Helper()
	own, err := fs.Sub(Migrations(), "migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{outbox.Migrate(t.Context(), db), sqldb.Migrate(t.Context(), db, "catalog", own)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return New(db, outbox.New(db, nil, slog.New(slog.DiscardHandler), outbox.Options{}))
}

// announced returns what is in the outbox about a product, in order.
func (s *Store) announced(t *testing.T, sku string) []eventbus.Event {
	t.Helper()
	rows, err := s.out.Trace(t.Context(), sku)
	if err != nil {
		t.Fatal(err)
	}
	var events []eventbus.Event
	for _, row := range rows {
		events = append(events, row.Event)
	}
	return events
}

func TestASKUIsListedOnceHoweverManyTry(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		s := newStore(t, db)
		const tries = 8
		errs := make([]error, tries)
		var all sync.WaitGroup
		for i := range tries {
			all.Go(func() { _, errs[i] = s.List(t.Context(), "mug", fmt.Sprint("Mug ", i), euro(1250)) })
		}
		all.Wait()
		listed := 0
		for _, err := range errs {
			if err == nil {
				listed++
			} else if !errors.Is(err, ErrDuplicateSKU) {
				t.Errorf("got %v, want %v", err, ErrDuplicateSKU)
			}
		}
		if events := s.announced(t, "mug"); listed != 1 || len(events) != 1 {
			t.Errorf("listed %d times, announced %v", listed, events)
		}
	})
}

// Prices that are set at the same time are a chain: each is told with the price
// it replaced, and the last one told is the price there is.
func TestPricesSetAtOnceAreAnnouncedAsAChain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		s := newStore(t, db)
		if _, err := s.List(t.Context(), "mug", "Mug", euro(0)); err != nil {
			t.Fatal(err)
		}
		const changes = 8
		var all sync.WaitGroup
		for i := range changes {
			all.Go(func() {
				if _, err := s.Reprice(t.Context(), "mug", Precondition{}, euro(int64(i+1))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		mug, err := s.Get(t.Context(), "mug")
		if err != nil {
			t.Fatal(err)
		}
		price := euro(0)
		announced := s.announced(t, "mug")
		contractstest.Publishes(t, "/orderflow/catalog", announced)
		for i, e := range announced {
			if e.Sequence != int64(i) {
				t.Errorf("event %d has sequence %d", i, e.Sequence)
			}
			if i == 0 {
				continue
			}
			var data priceChangedData
			if err := json.Unmarshal(e.Data, &data); err != nil {
				t.Fatal(err)
			}
			if data.OldPrice != price {
				t.Errorf("event %d replaces %v, but the price was %v", i, data.OldPrice, price)
			}
			price = data.NewPrice
		}
		if diff := cmp.Diff(mug.Price, price); diff != "" || mug.Version != changes {
			t.Errorf("version %d; price (-there is +told):\n%s", mug.Version, diff)
		}
	})
}

func TestACommandThatFailsAnnouncesNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		s := newStore(t, db)
		if _, err := s.Reprice(t.Context(), "mug", Precondition{}, euro(1)); !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v, want %v", err, ErrUnknown)
		}
		sqldbtest.Exec(t, db, `ALTER TABLE outbox RENAME TO elsewhere`)
		if _, err := s.List(t.Context(), "mug", "Mug", euro(1250)); err == nil {
			t.Error("listed without an outbox")
		}
		if _, err := s.Get(t.Context(), "mug"); !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v, want %v: what cannot be announced did not happen", err, ErrUnknown)
		}
		sqldbtest.Exec(t, db, `ALTER TABLE elsewhere RENAME TO outbox`)
		if events := s.announced(t, "mug"); len(events) != 0 {
			t.Errorf("announced %v", events)
		}
	})
}

func TestWhoHeardNothingAsksAgainAndIsAnnouncedOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		cuttable := &sqldbtest.Cuttable{DB: db}
		s := newStore(t, cuttable)
		if _, err := s.List(t.Context(), "mug", "Mug", euro(1250)); err != nil {
			t.Fatal(err)
		}
		cuttable.LoseCommits(1)
		if _, err := s.Reprice(t.Context(), "mug", Precondition{}, euro(1300)); err == nil {
			t.Fatal("the lost answer went unnoticed")
		}
		mug, err := s.Reprice(t.Context(), "mug", Precondition{}, euro(1300))
		if err != nil || mug.Version != 1 {
			t.Fatalf("got %+v, %v", mug, err)
		}
		if events := s.announced(t, "mug"); len(events) != 2 {
			t.Errorf("announced %v, want the listing and one price", events)
		}
	})
}
