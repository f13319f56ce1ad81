package listing_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/listing"
)

// rebuilt is a world whose list can be made anew.
func rebuilt(t *testing.T, url string) (*world, *rebuild.Rebuild) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := newWorld(t, db)
	if err := rebuild.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	model := listing.Model(w.store, quiet, func(ctx context.Context, db sqldb.DB) error {
		return errors.Join(sqldb.MigrateLease(ctx, db), sqldb.Migrate(ctx, db, "order", os.DirFS("../../migrations")))
	})
	r := rebuild.New(db, url, model, quiet, rebuild.Options{Poll: 10 * time.Millisecond, Patience: time.Minute})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := r.Run(ctx); err != nil && !sqldb.IsUnavailable(err) {
				t.Errorf("the rebuild ended with %v", err)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w, r
}

func rebuildTo(t *testing.T, r *rebuild.Rebuild, ask rebuild.Ask, status rebuild.Status) (state rebuild.State) {
	t.Helper()
	if _, err := r.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	sqldbtest.Eventually(t, "the rebuild is "+string(status), func() bool {
		var err error
		if state, err = r.State(t.Context()); err != nil {
			t.Fatal(err)
		}
		return state.Status == status
	})
	return state
}

// Orders go on being placed and packed; each time the list is the same, and it
// goes on from where the new one is.
func TestTheListIsRebuiltWhileOrdersArePlaced(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLiteURL, "postgres": sqldbtest.PostgresURL} {
		t.Run(name, func(t *testing.T) {
			w, r := rebuilt(t, url(t))
			run(t, w.list)
			var orders []uuid.UUID
			for range 30 {
				id := w.place(t, ann, at)
				w.do(t, id, pack)
				orders = append(orders, id)
			}
			ctx, stop := context.WithCancel(t.Context())
			placing := make(chan []uuid.UUID)
			go func() {
				var more []uuid.UUID
				for ctx.Err() == nil {
					id := w.place(t, bob, at)
					w.do(t, id, pack)
					more = append(more, id)
				}
				placing <- more
			}()
			for range 3 {
				if state := rebuildTo(t, r, rebuild.Swap, rebuild.Swapped); len(state.Differences) > 0 || state.Compared < 30 {
					t.Errorf("%d rows compared: %v", state.Compared, state.Differences)
				}
			}
			stop()
			for _, id := range append(orders, <-placing...) {
				w.listed(t, id, 1)
			}
		})
	}
}

func TestARowThatIsWrongIsFoundAndMended(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLiteURL, "postgres": sqldbtest.PostgresURL} {
		t.Run(name, func(t *testing.T) {
			w, r := rebuilt(t, url(t))
			run(t, w.list)
			id, other := w.place(t, ann, at), w.place(t, ann, at)
			w.do(t, id, pack)
			w.listed(t, id, 1)
			w.listed(t, other, 0)
			sqldbtest.Exec(t, w.db, `UPDATE order_list SET customer_id = $1 WHERE order_id = $2`, bob, id.String())
			sqldbtest.Exec(t, w.db, `DELETE FROM order_list WHERE order_id = $1`, other.String())
			if state := rebuildTo(t, r, rebuild.Swap, rebuild.Differs); len(state.Differences) != 2 || state.Compared != 2 {
				t.Errorf("found %+v", state)
			}
			rebuildTo(t, r, rebuild.Anyway, rebuild.Swapped)
			if found := w.find(t, listing.Query{CustomerID: ann}); len(found) != 2 {
				t.Errorf("%d of 2 orders", len(found))
			}
			w.do(t, other, pack)
			w.listed(t, other, 1)
		})
	}
}
