package order_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/sqldb/sqldbtest"
)

// stored appends events to the stream of an order as the first release wrote
// them.
func (w *world) stored(order string, golden ...string) {
	w.t.Helper()
	for _, name := range golden {
		data, err := os.ReadFile(filepath.Join("internal", "stored", "testdata", name))
		if err != nil {
			w.t.Fatal(err)
		}
		typ, _, _ := strings.Cut(name, ".")
		w.append(order, typ, string(data))
	}
}

func (w *world) append(order, typ, data string) { w.t.Helper(); w.appendVersion(order, typ, 1, data) }

func (w *world) appendVersion(order, typ string, version int, data string) {
	w.t.Helper()
	w.store.Append(w.t, "order-"+order, esdb.EventData{
		EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(data),
		Metadata: fmt.Appendf(nil, `{"version":%d,"$correlationId":"corr","$causationId":"cause"}`, version),
	})
}

// An order that was written by the first release, rejection and all, is shown,
// listed, announced and carried on as if it were of today. Its revisions stay
// those of what is stored.
func TestAnOrderOfTheFirstReleaseLivesOn(t *testing.T) {
	w := start(t)
	open, refused := fresh(), fresh()
	w.stored(open, "order-placed.v1.json", "order-packed.v1.json")
	w.stored(refused, "order-placed.v1.json", "order-cancelled.v1.json")

	for _, typ := range []string{"order.events.placed.v1", "order.events.placed.v2"} {
		contractstest.Valid(t, w.Hears(typ, open))
		contractstest.Valid(t, w.Hears(typ, refused))
	}
	if e := w.Hears("order.events.cancelled.v1", refused); e.Sequence != 1 {
		t.Errorf("cancelled at %d", e.Sequence)
	}
	w.shown(open, 1)
	w.shown(refused, 1)
	a := w.Get("/orders/" + refused).Want(http.StatusOK)
	if a.Text("status") != "cancelled" || a.Text("cancelReason") != "out of stock" || a.Header.Get("ETag") != `"1"` {
		t.Errorf("%s %s", a.Header.Get("ETag"), a.Body)
	}
	a = w.Call("POST", "/orders/"+open+"/cancel", reason, "If-Match", `"1"`).Want(http.StatusOK)
	if a.Text("status") != "cancelled" || a.Header.Get("ETag") != `"2"` {
		t.Errorf("%s %s", a.Header.Get("ETag"), a.Body)
	}
	var versions []float64
	for _, item := range w.pages("/orders/" + open + "/history?limit=2") { // as it is stored
		versions = append(versions, item["version"].(float64))
	}
	if len(versions) != 3 || versions[0] != 1 || versions[1] != 1 || versions[2] != 2 {
		t.Errorf("the history has versions %v", versions)
	}
}

func TestAnOldEventThatCannotBeUpcastIsParkedAndTheOthersFlow(t *testing.T) {
	w := start(t)
	odd, sound := fresh(), fresh()
	w.append(odd, "order-placed", `{"lines":[{"unitPrice":{"amount":1,"currency":"USD"}}],"total":{"amount":1,"currency":"EUR"}}`)
	w.stored(sound, "order-placed.v1.json")
	w.Hears("order.events.placed.v2", sound)
	w.shown(sound, 0)
	sqldbtest.Eventually(t, "it to be set aside", func() bool { return len(w.pages("/deadletters?limit=5")) > 0 })
	letters := w.pages("/deadletters?limit=5")
	if len(letters) != 1 {
		t.Fatalf("%v", letters)
	}
	event, _ := letters[0]["event"].(map[string]any)
	const why = `upcast order-placed from version 1: line 0 is in "USD", the total in "EUR"`
	if letters[0]["reason"] != why || event["stream"] != "order-"+odd || event["revision"] != 0.0 {
		t.Errorf("%v", letters[0])
	}
	w.Get("/orders/"+odd).Refused(500, "internal")
	w.Get("/orders/" + sound).Want(http.StatusOK)
	if a := w.Get("/readyz"); a.Status != http.StatusOK {
		t.Errorf("not ready: %s", a.Body)
	}
}

// A release that was put back meets what the one after it has written. It takes
// that for nothing else, and everything else goes on.
func TestAnEventOfANewerReleaseIsLeftToIt(t *testing.T) {
	w := start(t)
	newer, sound := fresh(), fresh()
	w.stored(newer, "order-placed.v1.json")
	w.shown(newer, 0)
	w.appendVersion(newer, "order-packed", 7, `{"packedAt":"2026-03-14T16:00:00Z","parcels":2}`)
	w.stored(sound, "order-placed.v1.json", "order-packed.v1.json")
	w.Hears("order.events.placed.v2", sound)
	w.shown(sound, 1)
	sqldbtest.Eventually(t, "it to be set aside", func() bool { return len(w.pages("/deadletters?limit=5")) > 0 })
	const why = "order-packed version 7 was written by a newer program: this one reads up to version 1"
	if letters := w.pages("/deadletters?limit=5"); len(letters) != 1 || letters[0]["reason"] != why {
		t.Errorf("%v", letters)
	}
	w.Get("/orders/"+newer).Refused(500, "internal")
	w.Call("POST", "/orders/"+newer+"/cancel", reason).Refused(500, "internal")
	if length := len(w.store.Events(t, "order-"+newer)); length != 2 {
		t.Errorf("%d events: a command was carried out on what is not understood", length)
	}
	w.shown(newer, 0) // late, and not wrong
	w.Get("/orders/" + sound).Want(http.StatusOK)
	if a := w.Get("/readyz"); a.Status != http.StatusOK {
		t.Errorf("not ready: %s", a.Body)
	}
	if !strings.Contains(w.Log(), why) {
		t.Error("the log does not say why")
	}
}
