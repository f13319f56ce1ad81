package relay_test

import (
	"errors"
	"slices"
	"testing"

	"orderflow/pkg/es"
	"orderflow/pkg/position"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestTheNewestAnnouncementOfAStreamIsFoundPastWhatIsNotAnnounced(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	r := w.relay(w.db)
	at := func(n int, name string, sequence int64) position.Position {
		return position.Position{Source: "/orderflow/order", Subject: order(n), Name: "order.events." + name, Sequence: sequence}
	}
	w.commit(order(1), "placed")
	w.commit(order(2), "placed", "packed", "private", "broken", "panicky", "invalid")
	w.write("order-"+order(2), `{"version":`, "unreadable")
	w.commit(order(3), append([]string{"placed"}, slices.Repeat([]string{"private"}, 40)...)...)
	w.commit(order(4), "placed", "double")
	for n, want := range map[int]position.Position{
		1: at(1, "placed", 0), 2: at(2, "packed", 1), 3: at(3, "placed", 0), 4: at(4, "first", 1),
	} {
		if got, err := r.Newest(t.Context(), "order-"+order(n)); err != nil || got != want {
			t.Errorf("order %d: %+v, %v", n, got, err)
		}
	}
	w.commit(order(5), "private", "broken")
	for _, n := range []int{5, 6} {
		if got, err := r.Newest(t.Context(), "order-"+order(n)); !errors.Is(err, es.ErrNotFound) {
			t.Errorf("order %d: %+v, %v", n, got, err)
		}
	}
	// What cannot be told at the moment is not passed over.
	w.set(func() { w.outage = true })
	if got, err := r.Newest(t.Context(), "order-"+order(1)); !errors.Is(err, errTemporary) {
		t.Errorf("%+v, %v", got, err)
	}
}
