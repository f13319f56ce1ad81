package stored_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

const customer = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"

var order = uuid.MustParse("01928f40-0a1b-7c2d-8e3f-405162738495")

// golden is an event as it was written, in a file of testdata.
type golden struct {
	typ     string
	version int
	variant string // tells files of the same version apart
	newest  bool   // this is what is written today
	means   []domain.Event
}

func (g golden) file() string {
	name := g.typ + ".v" + strconv.Itoa(g.version)
	if g.variant != "" {
		name += "." + g.variant
	}
	return filepath.Join("testdata", name+".json")
}

var (
	placed = domain.Placed{
		CustomerID: customer,
		Lines: []domain.Line{
			{SKU: "mug", Name: `Mug "Grüße"`, Quantity: 2, UnitPrice: domain.Money{Amount: 1250, Currency: "EUR"}},
			{SKU: "plate-9", Name: "Plate", Quantity: 1, UnitPrice: domain.Money{Amount: 0, Currency: "EUR"}},
		},
		Total: domain.Money{Amount: 2500, Currency: "EUR"},
		At:    time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC),
	}
	packed     = domain.Packed{At: time.Date(2026, 3, 14, 16, 0, 0, 500_000_000, time.UTC)}
	dispatched = domain.Dispatched{At: time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)}
	rejected   = domain.Rejected{Reason: "out of stock", At: time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC)}
	cancelled  = domain.Cancelled{
		CustomerID: customer, Reason: "out of stock", By: domain.ByPacking, At: time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC),
	}
	cancelledByCustomer = domain.Cancelled{
		CustomerID: customer, Reason: "changed my mind", By: domain.ByCustomer, At: time.Date(2026, 3, 14, 18, 0, 0, 1000, time.UTC),
	}
	cancelledByDeadline = domain.Cancelled{
		CustomerID: customer, Reason: "not packed in time", By: domain.ByDeadline, At: time.Date(2026, 3, 14, 19, 0, 0, 0, time.UTC),
	}
)

// goldens are every version ever written. A line, once here, is never removed,
// nor its file changed: the same bytes are in event stores. What it means today
// may be put into other words.
var goldens = []golden{
	{stored.Placed, 1, "", false, []domain.Event{placed}},
	{stored.Placed, 2, "", true, []domain.Event{placed}},
	{stored.Packed, 1, "", true, []domain.Event{packed}},
	{stored.Dispatched, 1, "", true, []domain.Event{dispatched}},
	{stored.Rejected, 1, "", true, []domain.Event{rejected}},
	{stored.Cancelled, 1, "", false, []domain.Event{rejected, cancelled}}, // it was two things at once
	{stored.Cancelled, 1, "by_customer", false, []domain.Event{cancelledByCustomer}},
	{stored.Cancelled, 1, "by_deadline", false, []domain.Event{cancelledByDeadline}},
	{stored.Cancelled, 2, "", true, []domain.Event{cancelled}},
}

func TestEveryVersionEverWrittenIsRead(t *testing.T) {
	for _, golden := range goldens {
		t.Run(filepath.Base(golden.file()), func(t *testing.T) {
			text, err := os.ReadFile(golden.file())
			if err != nil {
				t.Fatal(err)
			}
			events, err := stored.Codec{}.Decode(t.Context(), recorded(golden.typ, golden.version, string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(golden.means, events); diff != "" {
				t.Error(diff)
			}
			if golden.newest {
				isWrittenAs(t, golden, string(text))
			}
		})
	}
}

func isWrittenAs(t *testing.T, golden golden, text string) {
	t.Helper()
	encoded, err := stored.Codec{}.Encode(t.Context(), order, golden.means[0])
	if err != nil {
		t.Fatal(err)
	}
	if encoded.Type != golden.typ || encoded.Version != golden.version {
		t.Errorf("written as %s version %d", encoded.Type, encoded.Version)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, encoded.Data, "", "  "); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(text), indented.String()); diff != "" {
		t.Errorf("it is no longer written as it was: add a version instead\n%s", diff)
	}
}

func TestEveryGoldenFileIsRead(t *testing.T) {
	found, err := filepath.Glob(filepath.Join("testdata", "*"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, golden := range goldens {
		listed[golden.file()] = true
	}
	for _, path := range found {
		if !listed[path] {
			t.Errorf("%s is read by no test", path)
		}
	}
	if len(found) != len(listed) {
		t.Errorf("%d files for %d goldens", len(found), len(listed))
	}
}

func recorded(typ string, version int, data string) es.Recorded {
	return es.Recorded{
		Type: typ, Stream: es.StreamName("order", order), Data: []byte(data), Metadata: es.Metadata{Version: version},
	}
}

// What cannot be understood is never taken for something else.
func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	const packed = `{"packedAt":"2026-03-14T16:00:00Z"}`
	for name, r := range map[string]es.Recorded{
		"unknown type":    recorded("order-teleported", 1, packed),
		"unknown version": recorded(stored.Packed, 2, packed),
		"from the future": recorded(stored.Placed, 3, `{}`),
		"no version":      recorded(stored.Packed, 0, packed),
		"no JSON":         recorded(stored.Packed, 1, "packed"),
		"cut off":         recorded(stored.Placed, 1, `{"customerId":"x"`),
		"another shape":   recorded(stored.Cancelled, 1, `{"reason":7}`),
		"version 1 as 2":  recorded(stored.Placed, 2, `{"total":{"amount":1,"currency":"EUR"}}`),
		"two currencies":  recorded(stored.Placed, 1, `{"lines":[{"unitPrice":{"currency":"USD"}}],"total":{"currency":"EUR"}}`),
		"no time":         recorded(stored.Dispatched, 1, `{"dispatchedAt":"yesterday"}`),
		"no metadata":     {Type: stored.Packed, Data: []byte(packed), Metadata: es.Metadata{Version: 1}, Unreadable: es.ErrUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			if events, err := (stored.Codec{}).Decode(t.Context(), r); err == nil {
				t.Errorf("taken for %#v", events)
			}
		})
	}
}
