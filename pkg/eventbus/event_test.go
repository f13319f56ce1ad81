package eventbus_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"orderflow/pkg/eventbus"
)

func TestCommandsAreToldFromEvents(t *testing.T) {
	for typ, want := range map[string]bool{
		"order.commands.cancel.v1": true,
		"order.events.placed.v1":   false,
		"order.commands":           false,
		"commands.order.v1":        false,
		"order.x.commands.v1":      false,
		"":                         false,
	} {
		if got := (eventbus.Event{Type: typ}).IsCommand(); got != want {
			t.Errorf("%q: command %v, want %v", typ, got, want)
		}
	}
}

func TestDecodeReadsOnlyWhatTheSubscriberNames(t *testing.T) {
	type view struct {
		Total int `json:"total"`
	}
	e := sample()
	e.Data = []byte(`{"total":1250,"added":"later"}`)
	got, err := eventbus.Decode[view](e)
	if err != nil || got.Total != 1250 {
		t.Fatalf("got %+v, %v", got, err)
	}
	e.Data = []byte(`{"total":"many"}`)
	if _, err := eventbus.Decode[view](e); err == nil {
		t.Error("data of the wrong shape was decoded")
	}
}

// A media type may carry parameters, and JSON has types of its own that end in +json.
func TestDecodeTakesWhateverMediaTypeIsJSON(t *testing.T) {
	type view struct {
		Total int `json:"total"`
	}
	for contentType, isJSON := range map[string]bool{
		"":                                      true,
		"application/json":                      true,
		"application/json; charset=utf-8":       true,
		`Application/JSON;charset="UTF-8"`:      true,
		"application/vnd.order+json; version=2": true,
		"application/xml":                       false,
		"application/jsonlines":                 false,
		"text/plain; subtype=application/json":  false,
		"application/json, application/xml":     false,
	} {
		e := sample()
		e.DataContentType = contentType
		got, err := eventbus.Decode[view](e)
		if isJSON && (err != nil || got.Total != 1250) {
			t.Errorf("%q: got %+v, %v", contentType, got, err)
		}
		if !isJSON && err == nil {
			t.Errorf("%q was decoded", contentType)
		}
		// The same event, after it was a line of a file.
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if embedded := strings.Contains(string(line), `"data":{"total":1250}`); embedded != isJSON {
			t.Errorf("%q: written as %s", contentType, line)
		}
		var read eventbus.Event
		if err := json.Unmarshal(line, &read); err != nil {
			t.Fatal(err)
		}
		if read.ContentType() != e.ContentType() || string(read.Data) != string(e.Data) {
			t.Errorf("%q: read back as %q with %s", contentType, read.DataContentType, read.Data)
		}
		if got, err := eventbus.Decode[view](read); isJSON != (err == nil && got.Total == 1250) {
			t.Errorf("%q, read back: got %+v, %v", contentType, got, err)
		}
	}
}

func TestAMessageSetAsideKeepsItsIDAndOthersHaveAnother(t *testing.T) {
	why := errors.New("no envelope")
	of := func(claimed, typ, body string) string {
		d := eventbus.SetAside(eventbus.Event{ID: claimed, Type: typ, Data: []byte(body)}, why)
		if !errors.Is(d.Malformed, why) || string(d.Event.Data) != body || d.Event.Type != typ {
			t.Errorf("set aside as %+v", d)
		}
		return d.Event.ID
	}
	id := of("1", "t", "body")
	if again := of("1", "t", "body"); again != id {
		t.Errorf("the same message was %s and is %s", id, again)
	}
	for _, other := range []string{of("1", "t", "other"), of("2", "t", "body"), of("1", "u", "body"), of("", "", "")} {
		if other == id || other == "" {
			t.Errorf("another message has id %q", other)
		}
	}
}

func TestQueuesAreCompleted(t *testing.T) {
	q, err := eventbus.Queue{Name: "crm", Patterns: []string{"b.#", "a.#", "b.#"}}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if q.BatchSize != 100 || len(q.Patterns) != 2 || q.Patterns[0] != "a.#" {
		t.Errorf("completed to %+v", q)
	}
	for _, q := range []eventbus.Queue{
		{Name: "amq.crm", Patterns: []string{"#"}},
		{Name: "crm", Patterns: []string{"#"}, BatchSize: 1001},
		{Name: "crm\x00", Patterns: []string{"#"}},
		{Name: "crm.dead", Patterns: []string{"#"}},
	} {
		if _, err := q.Complete(); !errors.Is(err, eventbus.ErrInvalidQueue) {
			t.Errorf("%+v: got %v, want ErrInvalidQueue", q, err)
		}
	}
	if _, err := (eventbus.Queue{Name: "crm.dead"}).Complete(); err != nil {
		t.Errorf("dead letters cannot be read: %v", err)
	}
}
