package announce_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/services/order/internal/announce"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

var (
	order    = uuid.MustParse("01928f40-0a1b-7c2d-8e3f-405162738495")
	customer = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"
	at       = time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)
)

// committed is an event as the log holds it.
func committed(t *testing.T, revision es.Revision, event domain.Event) es.Recorded {
	t.Helper()
	encoded, err := stored.Codec{}.Encode(t.Context(), order, event)
	if err != nil {
		t.Fatal(err)
	}
	command := uuid.MustParse("6cb741bd-2a3c-5f75-af30-22264140a485")
	return es.Recorded{
		ID: cause.Cause{ID: command}.EventID("order-"+order.String(), 0), Stream: es.StreamName("order", order), Revision: revision,
		Type: encoded.Type, Data: encoded.Data,
		Metadata: es.Metadata{
			Version: encoded.Version, CorrelationID: "8c52", CausationID: command.String(),
			TraceParent: "00-c6527528934c5d8f86b9ca8ef73cb85e-a5d0f1c71b6758f2-01",
		},
		At: at.Add(time.Second),
	}
}

var events = map[string]domain.Event{
	"placed": domain.Placed{
		CustomerID: customer,
		Lines: []domain.Line{
			{SKU: "mug", Name: "Mug", Quantity: 2, UnitPrice: domain.Money{Amount: 1250, Currency: "EUR"}},
			{SKU: "gift", Name: "Gift", Quantity: 1, UnitPrice: domain.Money{Currency: "EUR"}},
		},
		Total: domain.Money{Amount: 2500, Currency: "EUR"}, At: at,
	},
	"free of charge": domain.Placed{
		CustomerID: customer, Lines: []domain.Line{{SKU: "gift", Name: "Gift", Quantity: 1, UnitPrice: domain.Money{Currency: "EUR"}}},
		Total: domain.Money{Currency: "EUR"}, At: at,
	},
	"cancelled by the customer":  domain.Cancelled{CustomerID: customer, Reason: "zu spät", By: domain.ByCustomer, At: at},
	"cancelled by packing":       domain.Cancelled{CustomerID: customer, Reason: "broken", By: domain.ByPacking, At: at},
	"cancelled after a deadline": domain.Cancelled{CustomerID: customer, Reason: "late", By: domain.ByDeadline, At: at},
}

func TestWhatIsAnnouncedKeepsItsContract(t *testing.T) {
	var all []eventbus.Event
	for name, event := range events {
		announced, err := announce.Translate(t.Context(), committed(t, 0, event))
		if err != nil || len(announced) == 0 {
			t.Fatalf("%s: %d events, %v", name, len(announced), err)
		}
		all = append(all, announced...)
	}
	contractstest.Publishes(t, announce.Source, all)
}

// A relay that died announces the same events again: by their ids, consumers
// know that they are the same.
func TestTheSameEventIsAnnouncedTheSameEveryTime(t *testing.T) {
	seen := map[string]string{}
	for name, event := range events {
		r := committed(t, 3, event)
		r.ID = uuid.NewSHA1(uuid.Nil, []byte(name))
		first, err := announce.Translate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := announce.Translate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, e := range first {
			if other := seen[e.ID]; other != "" {
				t.Errorf("%s and %s share an id", name, other)
			}
			seen[e.ID] = name
		}
	}
}

func TestAnAnnouncementTellsWhereItComesFrom(t *testing.T) {
	r := committed(t, 2, events["cancelled by the customer"])
	announced, err := announce.Translate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := []eventbus.Event{{
		ID: cause.IntegrationID(r.ID, "order.events.cancelled.v1").String(), Source: "/orderflow/order", Type: "order.events.cancelled.v1",
		Subject: order.String(), Time: at, DataContentType: "application/json",
		CorrelationID: r.Metadata.CorrelationID, CausationID: r.ID.String(), TraceParent: r.Metadata.TraceParent, Sequence: 2,
		Data: []byte(`{"orderId":"` + order.String() + `","customerId":"` + customer +
			`","reason":"zu spät","by":"customer","occurredAt":"2026-03-14T15:09:26.535897932Z"}`),
	}}
	if diff := cmp.Diff(want, announced); diff != "" {
		t.Error(diff)
	}
}

// A reader binds v2 before it unbinds v1. Published in this order, an order whose
// v2 came too early has a v1 that did not come too late.
func TestAPlacedOrderIsAnnouncedInBothVersionsTheOlderOneFirst(t *testing.T) {
	announced, err := announce.Translate(t.Context(), committed(t, 0, events["placed"]))
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range announced {
		types = append(types, e.Type)
	}
	if diff := cmp.Diff([]string{"order.events.placed.v1", "order.events.placed.v2"}, types); diff != "" {
		t.Error(diff)
	}
}

// TestWhatWasEverStoredIsAnnouncedAsEver goes through every version of every
// event that was ever written. The announcements of one have the ids and the
// bodies they had when it was new; only types that are younger come on top.
func TestWhatWasEverStoredIsAnnouncedAsEver(t *testing.T) {
	goldens, err := filepath.Glob("../stored/testdata/*.json")
	if err != nil || len(goldens) == 0 {
		t.Fatalf("%d goldens, %v", len(goldens), err)
	}
	for _, path := range goldens {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			typ, version, _ := strings.Cut(filepath.Base(path), ".v")
			r := committed(t, 3, events["placed"])
			r.Type, r.Data, r.Metadata.Version = typ, data, int(version[0]-'0')
			announced, err := announce.Translate(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join("testdata", filepath.Base(path)))
			if err != nil {
				t.Fatal(err)
			}
			var want []eventbus.Event
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, announced, cmpopts.EquateEmpty(), inAnyLayout); diff != "" {
				t.Error(diff)
			}
			for _, e := range announced {
				contractstest.Valid(t, e)
			}
		})
	}
}

// inAnyLayout compares data as JSON: goldens are indented.
var inAnyLayout = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Data" },
	cmp.Transformer("JSON", func(text []byte) (value any) {
		if err := json.Unmarshal(text, &value); err != nil {
			return err
		}
		return value
	}))

// Packing, dispatching and rejecting are told by those who did it.
func TestFactsOfOthersAreNotAnnouncedAgain(t *testing.T) {
	for _, event := range []domain.Event{domain.Packed{At: at}, domain.Dispatched{At: at}, domain.Rejected{Reason: "broken", At: at}} {
		announced, err := announce.Translate(t.Context(), committed(t, 1, event))
		if err != nil || len(announced) > 0 {
			t.Errorf("%T: %v, %v", event, announced, err)
		}
	}
}

func TestAnEventThatCannotBeReadIsNotAnnounced(t *testing.T) {
	r := committed(t, 1, domain.Packed{At: at})
	r.Type = "order-teleported"
	if announced, err := announce.Translate(t.Context(), r); err == nil {
		t.Errorf("announced %v", announced)
	}
}
