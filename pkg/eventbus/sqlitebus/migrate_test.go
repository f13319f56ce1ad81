package sqlitebus_test

import (
	"os"
	"testing"

	"orderflow/pkg/eventbus"
)

// oldFile is a file as version 1 of the schema left it: three orders for crm and
// packing, one event that is unrouted, and a consumer of packing that was killed.
func oldFile(t *testing.T) (path string) {
	t.Helper()
	path = newPath(t)
	text, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	db := plain(t, path)
	defer db.Close()
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileOfVersionOneKeepsEverythingAndIsBroughtUpToDate(t *testing.T) {
	path := oldFile(t)
	for opening := range 2 {
		if err := open(t, path).Close(within(t)); err != nil {
			t.Fatalf("opening %d: %v", opening, err)
		}
	}
	if n := counted(t, path, `PRAGMA user_version`); n != 3 {
		t.Errorf("version %d", n)
	}
	bus := closing(t, open(t, path))
	for queue, want := range map[string]int{"crm": 3, "packing": 3, "unrouted": 1, "crm.dead": 0, "packing.dead": 0, "unrouted.dead": 0} {
		if depth, err := bus.Depth(within(t), queue); depth != want || err != nil {
			t.Errorf("%s: %d waiting, %v; want %d", queue, depth, err, want)
		}
	}
	publish(t, bus, placed(3))
	var crmGot, packingGot, unrouted received
	subscribe(t, bus, crm(10), crmGot.handle)
	subscribe(t, bus, eventbus.Queue{Name: "packing", Patterns: []string{"order.events.placed.*"}}, packingGot.handle)
	subscribe(t, bus, eventbus.Queue{Name: eventbus.Unrouted}, unrouted.handle)
	for _, got := range []*received{&crmGot, &packingGot} {
		for n, d := range got.await(t, 4) {
			if d.Malformed != nil || d.Event.ID != placed(n).ID || !d.Event.Time.Equal(placed(n).Time) || string(d.Event.Data) != "{}" {
				t.Errorf("delivery %d is %+v", n, d)
			}
		}
	}
	if d := unrouted.await(t, 1)[0]; d.Event.Type != "catalog.events.product_listed.v1" || string(d.Event.Data) != `{"sku":"ü"}` {
		t.Errorf("unrouted: %+v", d)
	}
	if !packingGot.all()[0].Redelivered || crmGot.all()[0].Redelivered {
		t.Error("only packing's had a consumer that was lost")
	}
}
