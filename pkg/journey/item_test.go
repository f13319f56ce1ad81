package journey

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/service"
)

func told(name string, items ...service.TraceItem) []string {
	return keys(Items(service.Trace{Service: name, Items: items}))
}

func TestRequestWithSeveralEffectsHappenedOnce(t *testing.T) {
	request := service.TraceItem{Kind: "http", ID: "C", Type: "POST /orders"}
	got := told("order", request, service.TraceItem{Kind: "published", ID: "E"}, request, service.TraceItem{Kind: "published", ID: "F"})
	want := []string{"order/http/C", "order/out/E", "order/out/F"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEventThatIsHeldAndThenReceivedStaysTheSameItem(t *testing.T) {
	for _, kind := range []string{"held", "parked", "received", "discarded"} {
		if diff := cmp.Diff([]string{"crm/in/E"}, told("crm", service.TraceItem{Kind: kind, ID: "E", Type: "order.events.placed.v1"})); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	for _, kind := range []string{"pending", "parked", "published"} {
		if diff := cmp.Diff([]string{"packing/out/E"}, told("packing", service.TraceItem{Kind: kind, ID: "E", Type: "packing.events.packed.v1"})); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}

func TestRowsOfOneOrderAreToldApart(t *testing.T) {
	got := told("crm",
		service.TraceItem{Kind: "wrote", ID: "1", Type: "customer_order"}, service.TraceItem{Kind: "wrote", ID: "1", Type: "story"},
		service.TraceItem{Kind: "mailed", Type: "order-packed"}, service.TraceItem{Kind: "mailed", Type: "order-packed"})
	want := []string{"crm/wrote/1/customer_order", "crm/wrote/1/story", "crm/mailed//order-packed", "crm/mailed//order-packed#2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
