package inbox_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/position"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestWhatIsSaidToBeAppliedHasHadItsEffect delivers events in any order, some of
// them failing for a while or for good, repeats, redrives, discards and forgets,
// and asks after every step for the state of every event. It is applied exactly
// if its effect is there, or a person has given it up.
func TestWhatIsSaidToBeAppliedHasHadItsEffect(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, quick)
		rapid.Check(t, func(r *rapid.T) {
			for _, table := range []string{"inbox", "inbox_held", "inbox_forgotten", "effect"} {
				sqldbtest.Exec(t, db, `DELETE FROM `+table)
			}
			var events []eventbus.Event
			var positions []position.Position
			for _, subject := range []string{"a", "b"} {
				for sequence := range int64(3) {
					for _, typ := range []string{placed, tagged, moved} {
						id := fmt.Sprint(subject, sequence, typ)
						e := numbered(typ, subject, id, sequence)
						events, positions = append(events, e), append(positions, position.Of(e))
						w.when(id, rapid.SampledFrom([]func() error{nil, nil, nil, always(errHandler), always(inbox.Park(errHandler))}).Draw(r, id))
					}
				}
			}
			var forgotten []eventbus.Event
			discarded := map[string]bool{}
			for range rapid.IntRange(1, 10).Draw(r, "steps") {
				e := events[rapid.IntRange(0, len(events)-1).Draw(r, "event")]
				switch rapid.SampledFrom([]string{"deliver", "deliver", "deliver", "mend", "redrive", "discard", "try", "forget"}).Draw(r, "step") {
				case "deliver":
					var some []eventbus.Event
					for _, n := range rapid.SliceOfN(rapid.IntRange(0, len(events)-1), 1, 6).Draw(r, "events") {
						if !isIn(forgotten, events[n]) { // what is forgotten cannot come again
							some = append(some, events[n])
						}
					}
					if err := w.in.Handle(context.Background(), batch(some...)); err != nil {
						r.Fatal(err)
					}
				case "mend":
					w.when(e.ID, nil)
				case "redrive":
					_ = w.in.Redrive(context.Background(), e.ID) // it may not be there
				case "discard":
					if w.in.Discard(context.Background(), e.ID) == nil {
						discarded[e.ID] = true
					}
				case "try":
					if _, err := w.in.Round(context.Background()); err != nil {
						r.Fatal(err)
					}
				case "forget":
					known := w.known(t)
					sqldbtest.Exec(t, db, `UPDATE inbox SET handled_at = 1`)
					if n, err := w.in.Prune(context.Background(), inbox.MinRetention); err != nil {
						r.Fatal(err)
					} else if n > 0 {
						forgotten = append(forgotten, slices.DeleteFunc(slices.Clone(events), func(e eventbus.Event) bool { return !slices.Contains(known, e.ID) })...)
					}
				}
				states, err := inbox.States(w.in, context.Background(), positions)
				if err != nil {
					r.Fatal(err)
				}
				effects := w.effects(t, "")
				for n, e := range events {
					settled := slices.Contains(effects, e.ID) || discarded[e.ID]
					late := slices.ContainsFunc(forgotten, func(f eventbus.Event) bool {
						return f.Subject == e.Subject && f.Type == e.Type && f.Sequence >= e.Sequence
					})
					if applied := states[n] == position.Applied; applied != settled && (settled || !late) {
						r.Errorf("%s is %s, its effect is there: %v", e.ID, states[n], settled)
					}
				}
			}
		})
	})
}

func isIn(events []eventbus.Event, e eventbus.Event) bool {
	return slices.ContainsFunc(events, func(other eventbus.Event) bool { return other.ID == e.ID })
}

// known lists the ids of the events that are noted in the inbox.
func (w *world) known(t *testing.T) []string {
	t.Helper()
	rows, err := w.db.Query(t.Context(), `SELECT id FROM inbox`)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := sqldb.Collect(rows, func(r sqldb.Row) (id string, err error) { return id, r.Scan(&id) })
	if err != nil {
		t.Fatal(err)
	}
	return ids
}
