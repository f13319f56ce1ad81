package announce_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/services/order/internal/announce"
	"orderflow/services/order/internal/fulfilment"
)

// stepped is an event of a process as the log holds it.
func stepped(t *testing.T, revision es.Revision, event fulfilment.Event) es.Recorded {
	t.Helper()
	encoded, err := fulfilment.Codec{}.Encode(t.Context(), order, event)
	if err != nil {
		t.Fatal(err)
	}
	return es.Recorded{
		ID: uuid.NewSHA1(uuid.Nil, []byte(event.Name)), Stream: es.StreamName(fulfilment.Category, order), Revision: revision,
		Type: encoded.Type, Data: encoded.Data, At: at.Add(time.Second),
		Metadata: es.Metadata{
			Version: encoded.Version, CorrelationID: "8c52", CausationID: "from",
			TraceParent: "00-c6527528934c5d8f86b9ca8ef73cb85e-a5d0f1c71b6758f2-01",
		},
	}
}

// The sequence is that of the process, so the source is not that of the order.
func TestAProcessSaysThatAnOrderIsLate(t *testing.T) {
	for stage, missed := range map[string]fulfilment.Trigger{"packing": fulfilment.PackOverdue, "dispatch": fulfilment.DispatchOverdue} {
		r := stepped(t, 1, fulfilment.Event{
			Name: fulfilment.Delayed, State: fulfilment.StatePackingLate, CustomerID: customer, At: at,
			Missed: fulfilment.Deadline{Kind: missed, DueAt: at.Add(-time.Minute)},
		})
		announced, err := announce.Translate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want := []eventbus.Event{{
			ID: cause.IntegrationID(r.ID, "order.events.delayed.v1").String(), Source: "/orderflow/fulfilment", Type: "order.events.delayed.v1",
			Subject: order.String(), Time: at, DataContentType: "application/json",
			CorrelationID: "8c52", CausationID: r.ID.String(), TraceParent: r.Metadata.TraceParent, Sequence: 1,
			Data: []byte(`{"orderId":"` + order.String() + `","customerId":"` + customer + `","stage":"` + stage +
				`","dueAt":"2026-03-14T15:08:26.535897932Z","occurredAt":"2026-03-14T15:09:26.535897932Z"}`),
		}}
		if diff := cmp.Diff(want, announced); diff != "" {
			t.Error(diff)
		}
		contractstest.Valid(t, announced[0])
	}
}

// Nobody could do anything with a stage that has no word: the event waits for a
// person, or for the release that has one.
func TestADelayOfAnUnknownStageIsNotAnnounced(t *testing.T) {
	r := stepped(t, 1, fulfilment.Event{
		Name: fulfilment.Delayed, State: fulfilment.StatePackingLate, CustomerID: customer, At: at,
		Missed: fulfilment.Deadline{Kind: "weigh-overdue", DueAt: at},
	})
	if announced, err := announce.Translate(t.Context(), r); !errors.Is(err, fulfilment.ErrNotInTable) {
		t.Errorf("%v, %v", announced, err)
	}
}

func TestProcessesSayWhatTheContractsSayTheyDo(t *testing.T) {
	late := fulfilment.Event{
		Name: fulfilment.Delayed, State: fulfilment.StatePackingLate, CustomerID: customer, At: at,
		Missed: fulfilment.Deadline{Kind: fulfilment.PackOverdue, DueAt: at},
	}
	inVain := fulfilment.Event{Name: fulfilment.ReturnRequested, State: fulfilment.StateReturning, Reason: "zu spät", At: at}
	var all []eventbus.Event
	for _, event := range []fulfilment.Event{late, inVain} {
		announced, err := announce.Translate(t.Context(), stepped(t, 1, event))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, announced...)
	}
	contractstest.Publishes(t, announce.FulfilmentSource, all)
}

func TestAProcessAsksForGoodsBack(t *testing.T) {
	announced, err := announce.Translate(t.Context(), stepped(t, 2, fulfilment.Event{
		Name: fulfilment.ReturnRequested, State: fulfilment.StateReturning, Reason: "zu spät", At: at,
	}))
	if err != nil || len(announced) != 1 || announced[0].Type != "packing.commands.return_to_stock.v1" || !announced[0].IsCommand() {
		t.Fatalf("%v, %v", announced, err)
	}
	contractstest.Valid(t, announced[0])
}

// The other steps are nobody else's business, or follow from what the order says.
func TestTheOtherStepsOfAProcessAreNotAnnounced(t *testing.T) {
	for _, name := range []fulfilment.Name{
		fulfilment.Begun, fulfilment.Packed, fulfilment.Expired, fulfilment.Cancelled, fulfilment.Returned, fulfilment.Completed,
	} {
		announced, err := announce.Translate(t.Context(), stepped(t, 0, fulfilment.Event{Name: name, State: fulfilment.StatePacking, At: at}))
		if err != nil || len(announced) > 0 {
			t.Errorf("%s: %v, %v", name, announced, err)
		}
	}
	r := stepped(t, 0, fulfilment.Event{Name: fulfilment.Begun, State: fulfilment.StatePacking, At: at})
	r.Metadata.Version = 9
	if announced, err := announce.Translate(t.Context(), r); err == nil {
		t.Errorf("of a version that is not known: %v", announced)
	}
}
