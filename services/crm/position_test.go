package crm_test

import (
	"net/http"
	"testing"

	"orderflow/pkg/position"
	"orderflow/pkg/service/servicetest"
)

func TestAStoryAndItsMailsCanBeWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.Start()
	w.register()
	w.Shows("/customers/"+zoe+"?", servicetest.Event("customer.events.created.v1", zoe, 0, nil))
	placed := servicetest.Event("order.events.placed.v1", orderID, 0, map[string]any{
		"orderId": orderID, "customerId": zoe, "lines": []any{}, "total": map[string]any{"amount": 900, "currency": "EUR"},
	})
	w.Get("/mails?wait=10ms&after="+position.Of(placed).String()).Refused(http.StatusServiceUnavailable, "position-not-reached")
	w.Publish(placed)
	var list mails
	if w.Shows("/mails?orderId="+orderID+"&", placed).Into(&list); len(list.Items) != 1 {
		t.Errorf("%+v", list)
	}
	var story customer
	if w.Shows("/customers/"+zoe+"?", placed).Into(&story); len(story.Orders) != 1 {
		t.Errorf("%+v", story)
	}
}
