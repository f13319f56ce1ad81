package eventbus_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
)

func sample() eventbus.Event {
	return eventbus.Event{
		ID: "e1", Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: "o1",
		Time:          time.Date(2026, 11, 20, 1, 2, 3, 4, time.UTC),
		Data:          []byte(`{"total":1250}`),
		CorrelationID: "c1", CausationID: "k1", Sequence: 7,
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
}

func TestStructuredModeIsCloudEventsJSON(t *testing.T) {
	got, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"specversion":"1.0","id":"e1","source":"/orderflow/order","type":"order.events.placed.v1","subject":"o1",` +
		`"time":"2026-11-20T01:02:03.000000004Z","datacontenttype":"application/json","correlationid":"c1","causationid":"k1",` +
		`"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","sequence":"7","data":{"total":1250}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDataThatIsNoJSONIsBase64(t *testing.T) {
	for name, e := range map[string]eventbus.Event{
		"another type":      {ID: "a", DataContentType: "application/octet-stream", Data: []byte("{}")},
		"JSON that is none": {ID: "a", Data: []byte("{")},
	} {
		got, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(string(got), `"data_base64":"`) || strings.Contains(string(got), `"data":`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestStructuredModeRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[a-zA-Zäß€/"<>&\\ ]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		want := eventbus.Event{
			ID: text.Draw(t, "id"), Source: text.Draw(t, "source"), Type: text.Draw(t, "type"), Subject: text.Draw(t, "subject"),
			Time:          time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			CorrelationID: text.Draw(t, "correlation"), CausationID: text.Draw(t, "causation"),
			TraceParent: text.Draw(t, "trace"), Sequence: rapid.Int64().Draw(t, "sequence"),
			DataContentType: rapid.SampledFrom([]string{"application/json", "application/x+json", "text/plain", "x"}).Draw(t, "content type"),
		}
		if rapid.Bool().Draw(t, "is JSON") {
			want.Data, _ = json.Marshal(text.Draw(t, "data"))
		} else if data := rapid.SliceOf(rapid.Byte()).Draw(t, "data"); len(data) > 0 && !json.Valid(data) {
			want.Data = data // valid JSON would come back without its white space
		}
		encoded, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got eventbus.Event
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatalf("%v in %s", err, encoded)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%s", encoded, diff)
		}
	})
}

func TestEventsOfOtherPublishersAreRead(t *testing.T) {
	const text = `{"specversion":"1.0","id":"1","source":"s","type":"t","time":"2026-01-02T03:04:05+02:00","sequence":12,
		"unknown":{"a":1},"partition":true,"correlationid":null,"datacontenttype":"text/plain","data":"hello"}`
	var got eventbus.Event
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := eventbus.Event{
		ID: "1", Source: "s", Type: "t", Time: time.Date(2026, 1, 2, 1, 4, 5, 0, time.UTC), Sequence: 12,
		DataContentType: "text/plain", Data: []byte("hello"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoCloudEventIsRefused(t *testing.T) {
	for _, text := range []string{
		`[]`, `{}`, `{"specversion":"0.3","id":"1"}`, `{"specversion":"1.0","time":"yesterday"}`,
		`{"specversion":"1.0","sequence":"many"}`, `{"specversion":"1.0","data_base64":"%"}`,
	} {
		e := sample()
		if err := json.Unmarshal([]byte(text), &e); !errors.Is(err, eventbus.ErrInvalidEvent) {
			t.Errorf("%s: got %v, want ErrInvalidEvent", text, err)
		}
		if e.ID != "e1" {
			t.Errorf("%s: changed the event it could not read into", text)
		}
	}
}
