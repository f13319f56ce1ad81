package eventbus_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"orderflow/pkg/eventbus"
)

type total struct {
	Total int `json:"total"`
}

func deliver(events ...eventbus.Event) []eventbus.Delivery {
	var batch []eventbus.Delivery
	for _, e := range events {
		batch = append(batch, eventbus.Delivery{Event: e})
	}
	return batch
}

func TestRouterHandsEventsToTheirHandlers(t *testing.T) {
	var got []string
	r := eventbus.NewRouter(slog.New(slog.DiscardHandler))
	eventbus.On(r, "order.events.placed.v1", func(_ context.Context, e eventbus.Event, d total) error {
		if d.Total != 1250 {
			t.Errorf("decoded %+v", d)
		}
		got = append(got, "typed "+e.Type)
		return nil
	})
	r.OnAny("order.#", func(_ context.Context, e eventbus.Event) error {
		got = append(got, "any "+e.Type)
		return nil
	})
	other, unknown := sample(), sample()
	other.Type, other.Data = "order.events.cancelled.v1", []byte("not even JSON")
	unknown.Type = "packing.events.packed.v1"
	if err := r.Handle(t.Context(), deliver(sample(), unknown, other)); err != nil {
		t.Fatal(err)
	}
	want := []string{"typed order.events.placed.v1", "any order.events.placed.v1", "any order.events.cancelled.v1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if patterns := r.Patterns(); !slices.Equal(patterns, []string{"order.#", "order.events.placed.v1"}) {
		t.Errorf("patterns %q", patterns)
	}
}

func TestRouterReturnsAHandlersErrorWithTheEvent(t *testing.T) {
	broken := errors.New("no connection")
	r := eventbus.NewRouter(slog.New(slog.DiscardHandler))
	r.OnAny("#", func(context.Context, eventbus.Event) error { return broken })
	err := r.Handle(t.Context(), deliver(sample()))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "order.events.placed.v1 e1") {
		t.Errorf("got %v", err)
	}
}

// An event that cannot be read will never be readable: it must neither stop
// the consumer for ever nor vanish without a word.
func TestRouterDoesNotStopAtWhatItCannotRead(t *testing.T) {
	var log strings.Builder
	var handled int
	r := eventbus.NewRouter(slog.New(slog.NewTextHandler(&log, nil)))
	eventbus.On(r, "order.events.placed.v1", func(context.Context, eventbus.Event, total) error {
		handled++
		return nil
	})
	unreadable := sample()
	unreadable.ID, unreadable.Data = "e0", []byte(`{"total":"secret"}`)
	batch := deliver(unreadable, sample())
	batch = append(batch, eventbus.SetAside(eventbus.Event{Data: []byte("?")}, errors.New("no envelope")))
	if err := r.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if handled != 1 {
		t.Errorf("%d events handled, want the readable one", handled)
	}
	if strings.Count(log.String(), "level=ERROR") != 2 || !strings.Contains(log.String(), "id=e0") || strings.Contains(log.String(), "secret") {
		t.Errorf("log: %s", log.String())
	}
	stop := errors.New("stop here")
	var faults []string
	r.OnFault(func(_ context.Context, d eventbus.Delivery, _ error) error {
		faults = append(faults, d.Event.ID)
		return stop
	})
	if err := r.Handle(t.Context(), batch); !errors.Is(err, stop) || !slices.Equal(faults, []string{"e0"}) {
		t.Errorf("got %v, faults %q", err, faults)
	}
}

func TestRouterRefusesMistakesOfTheProgram(t *testing.T) {
	r := eventbus.NewRouter(slog.New(slog.DiscardHandler))
	for name, mistake := range map[string]func(){
		"typed handler for a pattern": func() {
			eventbus.On(r, "order.#", func(context.Context, eventbus.Event, total) error { return nil })
		},
		"invalid pattern": func() { r.OnAny("a..b", func(context.Context, eventbus.Event) error { return nil }) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mistake()
		}()
	}
}
