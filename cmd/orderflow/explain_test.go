package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"orderflow/cmd/orderflow/internal/explain"
	"orderflow/pkg/journey"
)

func TestExplainTellsTheWholeStoryOfAnOrder(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	s := w.shop()
	id := s.order("dispatched")
	var told string
	eventually(t, "everybody has everything", func() bool {
		told = w.must("explain", id)
		return strings.Contains(told, ": dispatched, 19.80 EUR, version 2\n") && !strings.Contains(told, "still to come") &&
			strings.Contains(told, "mail order-dispatched") && strings.Contains(told, "row order_fact: dispatched")
	})
	for _, line := range []string{
		`\+0\.000 s +order +POST /orders [0-9a-f-]{36}`,
		`order +committed order-placed [0-9a-f-]{36}, revision 0, position \d+ +working [\d.]+ ms`,
		`order +published order\.events\.placed\.v1 [0-9a-f-]{36}, sequence 0 +waiting to be sent [\d.]+ m?s`,
		`packing +received order\.events\.placed\.v1 [0-9a-f-]{36}, attempt 1`,
		`order +received packing\.events\.packed\.v1 [0-9a-f-]{36}, attempt 1 +(waiting in the queue [\d.]+ m?s, )?working [\d.]+ m?s`,
		`packing +POST /jobs/` + id + `/pack [0-9a-f-]{36} +waiting for a person [\d.]+ m?s`,
		`packing +published packing\.events\.packed\.v1 [0-9a-f-]{36}, sequence \d+ +working [\d.]+ m?s, waiting to be sent [\d.]+ m?s`,
		`packing +row job: packed`,
		`dispatch +row shipment: dispatched`,
		`crm +mail order-confirmation [0-9a-f-]{36}: kept`,
		`of [\d.]+ m?s: waiting for a person [\d.]+ m?s, waiting in the queue [\d.]+ m?s, waiting to be sent [\d.]+ m?s, working [\d.]+ m?s`,
	} {
		if !regexp.MustCompile(line).MatchString(told) {
			t.Errorf("there is no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(told)
	}

	var story explain.Story
	if err := json.Unmarshal([]byte(w.must("explain", "--json", id)), &story); err != nil {
		t.Fatal(err)
	}
	if story.OrderID != id || story.Status != "dispatched" || len(story.Items) < 20 || story.Spent[journey.Working] == 0 {
		t.Errorf("%+v", story)
	}
}

func TestExplainSaysWhoIsAwaitedAndHowToMendWhatIsStuck(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	s := w.shop()
	id := s.order("placed")
	eventually(t, "a packer is waited for", func() bool {
		told := w.must("explain", id)
		return regexp.MustCompile(`still to come\n +packing +somebody to do their part +waits since`).MatchString(told)
	})

	// About the same order something comes that nobody can read.
	broken := event("order.events.cancelled.v1", id, `{"orderId":17,"customerId":17,"reason":17}`)
	w.publish(broken)
	eventually(t, "it is shown with what to do", func() bool {
		told := w.must("explain", id)
		return regexp.MustCompile(`crm +order\.events\.cancelled\.v1 is parked since [^\n]*, until a person decides: [^\n]*orderflow deadletters redrive --service crm ` + broken.ID).MatchString(told)
	})
	told := w.must("explain", id)
	command := regexp.MustCompile(`orderflow (deadletters redrive --service crm [0-9a-f-]+)`).FindStringSubmatch(told)
	if command == nil || !strings.Contains(w.must(strings.Fields(command[1])...), "1 redriven") {
		t.Errorf("the command does not work: %q", command)
	}
}

func TestExplainThatCannotTellSaysWhy(t *testing.T) {
	w := newWorld(t)
	if told := w.orderflow("explain", uuid.NewString()); told.code != 2 || !strings.Contains(told.err, "nothing is up") {
		t.Errorf("before anything is up: %+v", told)
	}
	w.must("up")
	nobody := uuid.NewString()
	if told := w.orderflow("explain", nobody); told.code != 1 || !strings.Contains(told.err, "nobody knows this order: "+nobody) {
		t.Errorf("an order that there is not: %+v", told)
	}
	s := w.shop()
	eventually(t, "what is of a customer is told from an order", func() bool {
		told := w.orderflow("explain", s.customer)
		return told.code == 1 && told.out == "" && strings.Contains(told.err, "this is the id of a customer, not of an order: "+s.customer)
	})
	if told := w.orderflow("explain", "17"); told.code != 1 || !strings.Contains(told.err, `"17" is not the id of an order`) {
		t.Errorf("what is no id: %+v", told)
	}
	id := s.order("placed")
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	args := []string{"explain", id}
	for name, url := range w.state().URLs {
		if name == "packing" {
			url = away.URL
		}
		args = append(args, "--url", name+"="+url)
	}
	told := w.orderflow(args...)
	if told.code != 2 || !strings.Contains(told.err, "no answer from packing") || !strings.Contains(told.out, "packing does not answer: connection refused") ||
		!strings.Contains(told.out, "committed order-placed") {
		t.Errorf("packing is away: %+v", told)
	}
	if told := w.orderflow("explain", "--help"); told.code != 0 || !strings.Contains(strings.Join(strings.Fields(told.out), " "), "2 a service does not answer") {
		t.Errorf("%+v", told)
	}
}
