package story_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestAnyOrderOfDeliveryWithAnyDuplicatesGivesTheSameRows delivers some of what
// can happen to a customer and two orders, in any order, in batches of any size,
// with events that come again, also when the inbox has forgotten that it handled
// them, and compares all rows with what comes out when the same events arrive in
// order.
func TestAnyOrderOfDeliveryWithAnyDuplicatesGivesTheSameRows(t *testing.T) {
	everything := []eventbus.Event{
		placed(other, 30), created("Zoë", "zoe@example.org"), contact(1, "Zoë Müller", "zm@example.org"), moved(2, "Graz"),
		contact(3, "Zoë Maier", "maier@example.org"), moved(4, "Linz"), deactivated(5), gone(6),
		placed(first, 10), packed(first), dispatched(first), cancelled(first, "customer", 3),
		cancelled(other, "packing", 1), delayed(first, "packing"), delayed(first, "dispatch"), delayed(other, "packing"),
	}
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		keeping, sending := newWorld(t, db, false), newWorld(t, db, true)
		rapid.Check(t, func(r *rapid.T) {
			w := rapid.SampledFrom([]*world{keeping, sending}).Draw(r, "world")
			events := everything[:1:1]
			for _, e := range everything {
				if rapid.IntRange(0, 4).Draw(r, "arrives") > 0 {
					events = append(events, e)
				}
			}
			empty(t, db)
			w.deliver(t, events...)
			want := rowsOf(t, db)

			again := rapid.SliceOfN(rapid.SampledFrom(events), 0, 6).Draw(r, "again")
			shuffled := rapid.Permutation(append(events, again...)).Draw(r, "order")
			empty(t, db)
			for len(shuffled) > 0 {
				n := rapid.IntRange(1, len(shuffled)).Draw(r, "batch")
				w.deliver(t, shuffled[:n]...)
				shuffled = shuffled[n:]
				if rapid.IntRange(0, 3).Draw(r, "forget") == 0 {
					sqldbtest.Exec(t, db, `DELETE FROM inbox`)
				}
			}
			if diff := cmp.Diff(want, rowsOf(t, db)); diff != "" {
				r.Error(diff)
			}
			for _, e := range events {
				if e.Type == "customer.events.forgotten.v1" {
					nothingPersonal(r, rowsOf(t, db))
				}
			}
		})
	})
}

func nothingPersonal(t rapid.TB, rows []string) {
	t.Helper()
	for _, row := range rows {
		for _, text := range []string{"Zo", "example.org", "Wien", "Graz", "Linz", "Ring", "asked to"} {
			if strings.Contains(row, text) {
				t.Errorf("%q is in %s", text, row)
			}
		}
	}
}

func empty(t *testing.T, db sqldb.DB) {
	t.Helper()
	for _, table := range []string{"customer", "customer_order", "mail", "inbox", "inbox_held", "inbox_erased"} {
		sqldbtest.Exec(t, db, `DELETE FROM `+table)
	}
}

// rowsOf returns every row but for the times of writing.
func rowsOf(t *testing.T, db sqldb.DB) []string {
	t.Helper()
	var all []string
	for _, query := range []string{
		`SELECT customer_id || ' ' || CAST(registered_at AS TEXT) || ' ' || name || ' ' || email || ' ' || CAST(contact_sequence AS TEXT)
			|| ' ' || address || ' ' || CAST(address_sequence AS TEXT) || ' ' || CAST(deactivated_at AS TEXT) || ' ' || deactivation_reason
			|| ' ' || CAST(last_sequence AS TEXT) || ' ' || CAST(forgotten_at AS TEXT) FROM customer ORDER BY 1`,
		`SELECT order_id || ' ' || customer_id || ' ' || CAST(placed_at AS TEXT) || ' ' || CAST(total_amount AS TEXT) || total_currency
			|| ' ' || lines || ' ' || CAST(packed_at AS TEXT) || ' ' || CAST(dispatched_at AS TEXT) || ' ' || carrier || ' ' || tracking_number
			|| ' ' || CAST(packing_delayed_at AS TEXT) || ' ' || CAST(dispatch_delayed_at AS TEXT)
			|| ' ' || CAST(cancelled_at AS TEXT) || ' ' || cancelled_by || ' ' || cancel_reason || ' ' || CAST(order_sequence AS TEXT)
			|| ' ' || correlation_id FROM customer_order ORDER BY 1`,
		`SELECT mail_id || ' ' || order_id || ' ' || customer_id || ' ' || kind || ' ' || status || ' ' || recipient
			|| ' ' || CAST(attempts AS TEXT) || ' ' || reason || ' ' || correlation_id || ' ' || causation_id FROM mail ORDER BY 1`,
		`SELECT id || ' ' || status FROM inbox_held`,
	} {
		rows, err := db.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := sqldb.Collect(rows, func(row sqldb.Row) (line string, err error) { return line, row.Scan(&line) })
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, lines...)
	}
	return all
}
