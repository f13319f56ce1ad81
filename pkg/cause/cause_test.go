package cause_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
)

var command = uuid.MustParse("0198c5a0-0000-7000-8000-000000000001")

// These ids are in event stores, outboxes and inboxes: a change of them makes
// every repetition that is under way count twice.
func TestDerivedIDsAreTheSameForEver(t *testing.T) {
	c := cause.Cause{ID: command}
	for name, id := range map[string]struct{ got, want string }{
		"event 0":     {c.EventID("order-1", 0).String(), "24d9ce8a-bb3c-5f93-a280-e49cf0334f4b"},
		"event 1":     {c.EventID("order-1", 1).String(), "a9ea33e7-e8ba-5689-bf79-9b71c7bf38ec"},
		"other":       {c.EventID("order-2", 0).String(), "b440acc6-cf7e-5db7-9a9e-6f28c7558df0"},
		"integration": {cause.IntegrationID(command, "order.events.placed.v1").String(), "407c1986-6b5d-5944-a56a-55c474af73b7"},
		"no uuid":     {cause.Of(eventbus.Event{ID: "17", Source: "/elsewhere"}).ID.String(), "5dd82888-b010-5555-9d2c-c6ea2862ffbc"},
		"a uuid":      {cause.Of(eventbus.Event{ID: command.String(), Source: "/elsewhere"}).ID.String(), command.String()},
	} {
		if id.got != id.want {
			t.Errorf("%s: %s, want %s", name, id.got, id.want)
		}
	}
}

func TestDifferentFactsHaveDifferentIDs(t *testing.T) {
	seen := map[uuid.UUID]string{}
	note := func(what string, id uuid.UUID) {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s share %s", what, other, id)
		}
		seen[id] = what
	}
	for _, parent := range []uuid.UUID{command, cause.NewID(), cause.NewID()} {
		c := cause.Cause{ID: parent}
		note("the cause "+parent.String(), parent)
		for _, aggregate := range []string{"order-1", "order-11", "packing-1"} {
			for i := range 12 {
				id := c.EventID(aggregate, i)
				note(aggregate, id)
				note(aggregate+" placed", cause.IntegrationID(id, "order.events.placed.v1"))
				note(aggregate+" cancelled", cause.IntegrationID(id, "order.events.cancelled.v1"))
			}
		}
	}
	for _, e := range []eventbus.Event{{ID: "17", Source: "/a"}, {ID: "17", Source: "/b"}, {ID: "18", Source: "/a"}} {
		note(e.Source+" "+e.ID, cause.Of(e).ID)
	}
}

func TestFreshIDsAreOrderedByTime(t *testing.T) {
	before := cause.NewID()
	for range 100 {
		next := cause.NewID()
		if next.String() <= before.String() || next.Version() != 7 {
			t.Fatalf("%s (version %d) after %s", next, next.Version(), before)
		}
		before = next
	}
}

func TestAnIncomingEventIsACause(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := cause.Of(eventbus.Event{ID: command.String(), Source: "/s", CorrelationID: "c", CausationID: "d", TraceParent: "t", Time: at})
	want := cause.Cause{ID: command, CorrelationID: "c", TraceParent: "t", At: at}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestACommandAlwaysHasACause(t *testing.T) {
	put := cause.Cause{ID: command, CorrelationID: "c", Request: "POST /orders"}
	if got := cause.FromContext(cause.NewContext(context.Background(), put)); got != put {
		t.Errorf("got %+v, want %+v", got, put)
	}
	first, second := cause.FromContext(context.Background()), cause.FromContext(context.Background())
	if first.ID == second.ID || first.CorrelationID != first.ID.String() || first.At.IsZero() {
		t.Errorf("of no request: %+v and %+v", first, second)
	}
}
