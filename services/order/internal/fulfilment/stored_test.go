package fulfilment_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/es"
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

func file(name fulfilment.Name) string { return filepath.Join("testdata", string(name)+".v1.json") }

func TestEveryVersionEverWrittenIsRead(t *testing.T) {
	for _, want := range goldens {
		t.Run(string(want.Name), func(t *testing.T) {
			text, err := os.ReadFile(file(want.Name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := fulfilment.Codec{}.Decode(t.Context(), es.Recorded{
				Type: string(want.Name), Data: text, Metadata: es.Metadata{Version: 1},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]fulfilment.Event{want}, got); diff != "" {
				t.Error(diff)
			}
			encoded, err := fulfilment.Codec{}.Encode(t.Context(), uuid.New(), want)
			if err != nil || encoded.Type != string(want.Name) || encoded.Version != 1 {
				t.Fatalf("written as %s version %d, %v", encoded.Type, encoded.Version, err)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, encoded.Data, "", "  "); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(text)), indented.String()); diff != "" {
				t.Errorf("it is no longer written as it was: add a version instead\n%s", diff)
			}
		})
	}
	found, err := filepath.Glob(filepath.Join("testdata", "*"))
	if err != nil || len(found) != len(goldens) {
		t.Errorf("%d files for %d goldens, %v", len(found), len(goldens), err)
	}
}

func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	for name, r := range map[string]es.Recorded{
		"unknown type":    {Type: "fulfilment-teleported", Data: []byte(`{}`), Metadata: es.Metadata{Version: 1}},
		"unknown version": {Type: string(fulfilment.Begun), Data: []byte(`{}`), Metadata: es.Metadata{Version: 2}},
		"no metadata":     {Type: string(fulfilment.Begun), Data: []byte(`{}`), Unreadable: es.ErrUnreadable},
		"no JSON":         {Type: string(fulfilment.Begun), Data: []byte(`{`), Metadata: es.Metadata{Version: 1}},
	} {
		if e, err := (fulfilment.Codec{}).Decode(t.Context(), r); err == nil {
			t.Errorf("%s: taken for %+v", name, e)
		}
	}
}
