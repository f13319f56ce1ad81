package facts_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestAnyOrderOfDeliveryGivesTheSameOrder tells the facts about an order in every
// order, with every duplicate, in batches of every size, also after the inbox has
// forgotten what it handled. Packing packs or rejects, never both.
func TestAnyOrderOfDeliveryGivesTheSameOrder(t *testing.T) {
	histories := map[string]func(uuid.UUID) []eventbus.Event{
		"sent":    func(id uuid.UUID) []eventbus.Event { return []eventbus.Event{packed(t, id), dispatched(t, id)} },
		"refused": func(id uuid.UUID) []eventbus.Event { return []eventbus.Event{rejected(t, id)} },
	}
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		for name, history := range histories {
			straight := w.place(t)
			w.tell(t, history(straight)...)
			want, at := w.order(t, straight)
			rapid.Check(t, func(r *rapid.T) {
				id := cause.NewID()
				w.placeAs(t, id)
				once := history(id)
				again := rapid.SliceOfN(rapid.SampledFrom(once), 0, 4).Draw(r, "again")
				shuffled := rapid.Permutation(slices.Concat(once, again)).Draw(r, "order")
				for len(shuffled) > 0 {
					n := rapid.IntRange(1, len(shuffled)).Draw(r, "batch")
					w.tell(t, shuffled[:n]...)
					shuffled = shuffled[n:]
					if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
						sqldbtest.Exec(t, db, `DELETE FROM inbox`)
					}
				}
				got, revision := w.order(t, id)
				if diff := cmp.Diff(want, got); diff != "" || revision != at {
					r.Fatalf("%s, at revision %d, want %d: %s", name, revision, at, diff)
				}
			})
		}
		if held, parked := w.backlog(t); held+parked > 0 {
			t.Errorf("%d held, %d parked", held, parked)
		}
	})
}
