package verify

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

// Each event owes known ids: its own announcements, and those that it records.
func TestAnEventOwesAnnouncementsByTheirIDs(t *testing.T) {
	subject, told := uuid.NewString(), uuid.NewString()
	event := func(category, typ string) es.Recorded {
		r := recorded(typ, 3, `{}`)
		r.Stream, r.Metadata = category+"-"+subject, es.Metadata{CausationID: told}
		return r
	}
	for _, c := range []struct {
		category, typ string
		rejected      bool
		want          []string // publisher and type
	}{
		{"order", orderPlaced, false, []string{"order order.events.placed.v1", "order order.events.placed.v2"}},
		{"order", orderCancelled, false, []string{"order order.events.cancelled.v1"}},
		{"order", orderCancelled, true, []string{"order order.events.cancelled.v1", "packing packing.events.rejected.v1"}},
		{"order", orderRejected, true, []string{"packing packing.events.rejected.v1"}},
		{"order", orderPacked, false, []string{"packing packing.events.packed.v1"}},
		{"order", orderDispatched, false, []string{"dispatch dispatch.events.dispatched.v1"}},
		{"fulfilment", processDelayed, false, []string{"order order.events.delayed.v1"}},
		{"fulfilment", processAskedBack, false, []string{"order packing.commands.return_to_stock.v1"}},
		{"fulfilment", processReturned, false, []string{"packing packing.events.returned.v1"}},
		{"customer", customerForgotten, false, []string{"customer customer.events.forgotten.v1"}},
		{"order", "order-gift-wrapped", false, nil},
	} {
		r := event(c.category, c.typ)
		var got []string
		for _, o := range owedFor(r, c.rejected) {
			got = append(got, o.publisher+" "+o.typ)
			id, sequence := cause.IntegrationID(r.ID, o.typ).String(), int64(3)
			if o.publisher == "packing" || o.publisher == "dispatch" {
				id, sequence = told, anySequence
			}
			if o.id != id || o.subject != subject || o.sequence != sequence {
				t.Errorf("%s: %+v", c.typ, o)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.typ, diff)
		}
	}
}

func TestTheProcessOfAnOrderFollowsItsFacts(t *testing.T) {
	o := unseen(service.LedgerOrder, "o")
	step := func(stream, typ, data string) {
		r := recorded(typ, 1, data)
		r.Stream = stream + "-" + uuid.NewString()
		var err error
		if o, err = o.after(r); err != nil {
			t.Fatal(err)
		}
	}
	step("order", orderPlaced, `{"total":1,"placedAt":"2026-03-14T11:00:00Z"}`)
	o.Kind = service.LedgerDeadline
	if found := compare("order", o, nil); len(found) != 1 || found[0].Problem != Missing {
		t.Errorf("an order that no process watches: %v", found)
	}
	step("fulfilment", "fulfilment-begun", `{"state":"packing","deadline":{"kind":"pack-overdue","dueAt":"2026-03-14T15:00:00Z"},"at":"2026-03-14T11:00:00Z"}`)
	row := service.LedgerRow{Status: "pack-overdue", LastSequence: -1, Facts: service.Facts{service.FactDueAt: "2026-03-14T15:00:00.000000Z"}}
	if found := compare("order", o, []service.LedgerRow{row}); len(found) > 0 {
		t.Error(found)
	}
	step("fulfilment", processDelayed, `{"state":"packing-late","deadline":{"kind":"pack-expired","dueAt":"2026-03-14T16:00:00Z"},
		"missed":{"kind":"pack-overdue","dueAt":"2026-03-14T15:00:00Z"},"at":"2026-03-14T15:00:01Z"}`)
	if !o.has(packingDelayed) || o.has(dispatchDelayed) || len(compare("order", o, []service.LedgerRow{row})) != 2 {
		t.Errorf("%+v", o)
	}
	step("order", orderDispatched, `{"dispatchedAt":"2026-03-14T15:30:00Z"}`)
	found := compare("order", o, nil)
	if len(found) != 1 || found[0].Is != "packing-late" || found[0].Should != "dispatched" {
		t.Errorf("a process that has not heard that the order left: %v", found)
	}
}

func TestGapsAreSeenBetweenTheFirstThatIsRememberedAndTheLastThereIs(t *testing.T) {
	product := truth{Revision: 4, ChangedAt: noon.UnixMicro()}
	for _, c := range []struct {
		said  []int64
		since time.Time
		want  []int64
	}{
		{[]int64{0, 1, 2, 3, 4}, noon, nil},
		{[]int64{2, 3, 4}, noon, nil}, // what came before was not kept
		{[]int64{2, 4}, noon, []int64{3}},
		{[]int64{3}, noon, []int64{4}},
		{nil, noon.Add(-time.Second), []int64{4}},
		{nil, noon.Add(time.Second), nil},
	} {
		if diff := cmp.Diff(c.want, gaps(product, c.said, c.since)); diff != "" {
			t.Errorf("%v: %s", c.said, diff)
		}
	}
}
