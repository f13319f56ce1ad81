package eventbustest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/histogram"
)

func storing() []promise {
	return []promise{
		{"PublishedMeansStored", publishedMeansStored},
		{"AnInvalidEventIsRefusedAndNothingPublished", invalidIsRefused},
		{"PublishingNothingIsNoError", publishNothing},
		{"PublishEndsWithItsContext", publishEndsWithContext},
		{"EveryFieldOfTheEnvelopeArrives", envelope},
		{"ALargeEventArrives", largeEvent},
		{"DepthOfAnUnknownQueueIsAnError", depthOfUnknown},
		{"WhatHappensIsCounted", counted},
	}
}

func publishedMeansStored(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	first := h.Open(t)
	declare(t, first, queue)
	events := series("o1", 100)
	publish(t, first, events...)
	if err := first.Close(within(t)); err != nil {
		t.Fatalf("close: %v", err)
	}
	second := open(t, h)
	eventually(t, "a hundred waiting", func() bool { return depth(t, second, "crm") == 100 })
	var crm inbox
	subscribe(t, second, queue, crm.handle)
	crm.await(t, 100)
	sameIDs(t, crm.ids(), ids(events))
	eventually(t, "none waiting", func() bool { return depth(t, second, "crm") == 0 })
}

func invalidIsRefused(t *testing.T, h Harness) {
	bus := open(t, h)
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	declare(t, bus, queue)
	for name, spoil := range map[string]func(*eventbus.Event){
		"no id":                    func(e *eventbus.Event) { e.ID = "" },
		"no source":                func(e *eventbus.Event) { e.Source = "" },
		"no type":                  func(e *eventbus.Event) { e.Type = "" },
		"no subject":               func(e *eventbus.Event) { e.Subject = "" },
		"too much data":            func(e *eventbus.Event) { e.Data = make([]byte, 16<<20+1) },
		"no time":                  func(e *eventbus.Event) { e.Time = time.Time{} },
		"year 10000":               func(e *eventbus.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"long id":                  func(e *eventbus.Event) { e.ID = strings.Repeat("x", 256) },
		"long type":                func(e *eventbus.Event) { e.Type = strings.Repeat("x", 256) },
		"long content type":        func(e *eventbus.Event) { e.DataContentType = strings.Repeat("x", 256) },
		"control character":        func(e *eventbus.Event) { e.Subject = "a\nb" },
		"correlation id not UTF-8": func(e *eventbus.Event) { e.CorrelationID = "\xff" },
	} {
		bad := placed("o1", 2)
		spoil(&bad)
		err := bus.Publish(within(t), placed("o1", 1), bad, placed("o1", 3))
		if !errors.Is(err, eventbus.ErrInvalidEvent) {
			t.Errorf("%s: got %v, want ErrInvalidEvent", name, err)
		}
	}
	var crm inbox
	publish(t, bus, placed("o2", 1))
	subscribe(t, bus, queue, crm.handle)
	crm.await(t, 1)
	sameIDs(t, crm.ids(), []string{placed("o2", 1).ID})
}

func publishNothing(t *testing.T, h Harness) {
	publish(t, open(t, h))
}

func publishEndsWithContext(t *testing.T, h Harness) {
	bus := open(t, h)
	over, cancel := context.WithCancel(within(t))
	cancel()
	if err := bus.Publish(over, series("o1", 2000)...); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
	publish(t, bus, placed("o2", 1)) // and the bus is none the worse for it
}

func envelope(t *testing.T, h Harness) {
	at := time.Date(2026, 11, 20, 23, 59, 59, 123456789, time.FixedZone("", 2*3600))
	full := eventbus.Event{
		ID: "0197e1c4-0000-7000-8000-00000000000a", Source: "/orderflow/order", Type: "order.events.placed.v1",
		Subject: "order-ü-1", Time: at, DataContentType: "application/json", Data: []byte("{ \"total\" : 12.50 }\n"),
		CorrelationID: strings.Repeat("c", 400), CausationID: "cause", Sequence: math.MaxInt64,
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	bare := eventbus.Event{ID: "b", Source: "/s", Type: "order.events.bare.v1", Subject: "s", Time: at.UTC()}
	binary := full
	binary.ID, binary.DataContentType, binary.Data, binary.Sequence = "c", "application/octet-stream", []byte{0, 1, 0xff, '"'}, 0
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	publish(t, bus, full, bare, binary)
	crm.await(t, 3)
	bare.DataContentType = "application/json" // is filled in
	for i, want := range []eventbus.Event{full, bare, binary} {
		got := crm.deliveries()[i]
		want.Time = want.Time.UTC()
		if diff := cmp.Diff(eventbus.Delivery{Event: want}, got); diff != "" {
			t.Errorf("event %s (-published +arrived):\n%s", want.ID, diff)
		}
		if got.Event.Time.Location() != time.UTC {
			t.Errorf("event %s: time is in %s, want UTC", want.ID, got.Event.Time.Location())
		}
	}
}

func largeEvent(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	large := placed("o1", 1)
	large.DataContentType = "application/octet-stream"
	large.Data = bytes.Repeat([]byte{0xa5, 0, 0x5a}, 1<<20)
	publish(t, bus, large, placed("o1", 2))
	crm.await(t, 2)
	if !bytes.Equal(crm.deliveries()[0].Event.Data, large.Data) {
		t.Fatal("the data has changed on the way")
	}
}

func depthOfUnknown(t *testing.T, h Harness) {
	if n, err := open(t, h).Depth(within(t), "nobody"); err == nil || errors.Is(err, eventbus.ErrClosed) {
		t.Fatalf("got %d, %v; want an error that says so", n, err)
	}
}

func counted(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	publish(t, bus, series("o1", 25)...)
	crm.await(t, 25)
	reporter, ok := bus.(eventbus.Reporter)
	if !ok {
		t.Fatal("the bus does not count")
	}
	eventually(t, "25 acknowledged", func() bool { return reporter.Stats().Acknowledged == 25 })
	want := eventbus.Stats{Published: 25, Delivered: 25, Acknowledged: 25}
	got := reporter.Stats()
	for name, h := range map[string]histogram.Histogram{"confirm times": got.ConfirmTime, "lags": got.Lag} {
		if h.Count != 25 || h.Sum <= 0 {
			t.Errorf("%d %s of %v s together, want 25", h.Count, name, h.Sum)
		}
	}
	if h := got.HandlerTime; h.Count < 1 || h.Count > 25 {
		t.Errorf("%d handler times, want one a batch", h.Count)
	}
	got.ConfirmTime, got.HandlerTime, got.Lag = histogram.Histogram{}, histogram.Histogram{}, histogram.Histogram{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
