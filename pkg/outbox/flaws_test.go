package outbox_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb/sqldbtest"
)

// Whoever marks rows before the confirm loses them with the first connection
// that breaks in between.
func TestNothingIsMarkedThatTheBusHasNotConfirmed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bus := &fakeBus{}
		failed := 0
		bus.set(func(context.Context, []eventbus.Event) error {
			if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL`); n != 0 {
				t.Errorf("%d rows are marked while the bus is still being asked", n)
			}
			if failed++; failed < 3 {
				return errBusDown
			}
			return nil
		})
		o := newOutbox(t, w.db, bus, w.quick)
		add(t, w.db, o, event("1", "a"), event("2", "a"))
		defer w.start(t, o)()
		waitSent(t, o)
		if diff := cmp.Diff([]string{"1", "2"}, bus.ids()); diff != "" {
			t.Error(diff)
		}
	})
}
