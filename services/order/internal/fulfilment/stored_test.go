package fulfilment_test

import (
	"testing"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/es/estest"
	"orderflow/services/order/internal/fulfilment"
)

const customer = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"

var at = time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)

// goldens are the events as they were written, one file each in testdata. A
// line, once here, is never changed or removed: the same bytes are in event
// stores.
var goldens = []fulfilment.Event{
	{
		Name: fulfilment.Begun, State: fulfilment.StatePacking, CustomerID: customer, At: at,
		Deadline: fulfilment.Deadline{Kind: fulfilment.PackOverdue, DueAt: at.Add(4 * time.Hour).Truncate(time.Microsecond)},
	},
	{
		Name: fulfilment.Packed, State: fulfilment.StateDispatching, At: at,
		Deadline: fulfilment.Deadline{Kind: fulfilment.DispatchOverdue, DueAt: at.Add(24 * time.Hour).Truncate(time.Microsecond)},
	},
	{
		Name: fulfilment.Delayed, State: fulfilment.StatePackingLate, CustomerID: customer, At: at,
		Missed:   fulfilment.Deadline{Kind: fulfilment.PackOverdue, DueAt: at.Add(-time.Second).Truncate(time.Microsecond)},
		Deadline: fulfilment.Deadline{Kind: fulfilment.PackExpired, DueAt: at.Add(72 * time.Hour).Truncate(time.Microsecond)},
	},
	{
		Name: fulfilment.Expired, State: fulfilment.StatePackingExpired, Reason: "not packed in time", At: at,
		Missed: fulfilment.Deadline{Kind: fulfilment.PackExpired, DueAt: at.Add(-time.Second).Truncate(time.Microsecond)},
	},
	{Name: fulfilment.Cancelled, State: fulfilment.StateCancelled, Reason: "zu spät", At: at},
	{Name: fulfilment.ReturnRequested, State: fulfilment.StateReturning, Reason: "zu spät", At: at},
	{Name: fulfilment.Returned, State: fulfilment.StateReturned, At: at},
	{Name: fulfilment.Completed, State: fulfilment.StateDispatched, At: at},
}

func TestEveryVersionEverWrittenIsRead(t *testing.T) {
	all := estest.Goldens[fulfilment.Event]{Codec: fulfilment.Codec{}, Schemas: fulfilment.Schemas()}
	for _, event := range goldens {
		all.List = append(all.List, estest.Golden[fulfilment.Event]{Type: string(event.Name), Version: 1, Means: []fulfilment.Event{event}})
	}
	all.Check(t)
}

func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	for name, r := range map[string]es.Recorded{
		"unknown type": {Type: "fulfilment-teleported", Data: []byte(`{}`), Metadata: es.Metadata{Version: 1}},
		"no JSON":      {Type: string(fulfilment.Begun), Data: []byte(`{`), Metadata: es.Metadata{Version: 1}},
	} {
		if e, err := (fulfilment.Codec{}).Decode(t.Context(), r); err == nil {
			t.Errorf("%s: taken for %+v", name, e)
		}
	}
}
