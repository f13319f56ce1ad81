package es_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
)

var errNoNumber = errors.New("no number")

// numbers have a history: version 1 of "added" wrote them as text, version 2 as
// numbers of dozens, version 3 as they are. "doubled" was one thing, and is two
// now. "noted" means nothing any more, and "puzzle" was never understood.
var numbers = es.Schemas{
	{Type: "added", Upcasters: []es.Upcaster{
		es.UpcastFrom(func(old struct{ Text string }) ([]es.Encoded, error) {
			var dozens int
			if _, err := fmt.Sscan(old.Text, &dozens); err != nil {
				return nil, errNoNumber
			}
			return one("added", 2, `{"Dozens":%d}`, dozens), nil
		}),
		es.UpcastFrom(func(old struct{ Dozens int }) ([]es.Encoded, error) {
			return one("added", 3, `{"N":%d}`, 12*old.Dozens), nil
		}),
	}},
	{Type: "doubled", Upcasters: []es.Upcaster{
		es.UpcastFrom(func(old struct{ N int }) ([]es.Encoded, error) {
			return append(one("added", 3, `{"N":%d}`, old.N), one("added", 2, `{"Dozens":%d}`, old.N)...), nil
		}),
	}},
	{Type: "noted", Upcasters: []es.Upcaster{func([]byte) ([]es.Encoded, error) { return nil, nil }}},
	{Type: "puzzle", Upcasters: []es.Upcaster{
		func([]byte) ([]es.Encoded, error) { panic("index out of range") },
		func([]byte) ([]es.Encoded, error) { return one("puzzle", 2, `{}`), nil },
		func([]byte) ([]es.Encoded, error) { return one("riddle", 1, `{}`), nil },
		func([]byte) ([]es.Encoded, error) { return one("added", 4, `{}`), nil },
	}},
}

func one(typ string, version int, format string, args ...any) []es.Encoded {
	return []es.Encoded{{Type: typ, Version: version, Data: fmt.Appendf(nil, format, args...)}}
}

func written(typ string, version int, data string) es.Recorded {
	return es.Recorded{Type: typ, Data: []byte(data), Metadata: es.Metadata{Version: version}}
}

func TestOldVersionsAreReadInTermsOfTheNewest(t *testing.T) {
	for name, test := range map[string]struct {
		stored es.Recorded
		means  []es.Encoded
	}{
		"newest":         {written("added", 3, `{"N":1}`), one("added", 3, `{"N":1}`)},
		"one step":       {written("added", 2, `{"Dozens":2}`), one("added", 3, `{"N":24}`)},
		"two steps":      {written("added", 1, `{"Text":"2"}`), one("added", 3, `{"N":24}`)},
		"one is two now": {written("doubled", 1, `{"N":1}`), append(one("added", 3, `{"N":1}`), one("added", 3, `{"N":12}`)...)},
		"nothing now":    {written("noted", 1, `what?`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // it means the same each time
				got, err := numbers.Upcast(test.stored)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.means, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestWhatCannotBeUpcastSaysWhichTypeAndVersion(t *testing.T) {
	unreadable := written("added", 3, `{"N":1}`)
	unreadable.Unreadable = es.ErrUnreadable
	for name, test := range map[string]struct {
		stored es.Recorded
		says   string
	}{
		"unknown type":        {written("riddle", 1, `{}`), `unknown event type "riddle"`},
		"from the future":     {written("added", 4, `{}`), "added version 4 was written by a newer program: this one reads up to version 3"},
		"no version":          {written("added", 0, `{}`), "added has version 0 in its metadata"},
		"no metadata":         {unreadable, "added: unreadable metadata"},
		"the upcaster fails":  {written("added", 1, `{"Text":"two"}`), "upcast added from version 1: no number"},
		"no JSON":             {written("added", 2, `twelve`), "upcast added from version 2: invalid character"},
		"the upcaster panics": {written("puzzle", 1, `{}`), "upcast puzzle from version 1: panic: index out of range"},
		"round in a circle":   {written("puzzle", 2, `{}`), "the upcasters lead round in a circle"},
		"to an unknown type":  {written("puzzle", 3, `{}`), `upcast puzzle from version 3: unknown event type "riddle"`},
		"to an unknown one":   {written("puzzle", 4, `{}`), "upcast puzzle from version 4: added version 4"},
	} {
		t.Run(name, func(t *testing.T) {
			means, err := numbers.Upcast(test.stored)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, %v; want an error with %q", means, err, test.says)
			}
		})
	}
}

// oldCodec writes version 3, and reads all of them.
type oldCodec struct{}

func (oldCodec) Encode(_ context.Context, _ uuid.UUID, e added) (es.Encoded, error) {
	return one("added", 3, `{"N":%d}`, e.N)[0], nil
}

func (oldCodec) Decode(_ context.Context, r es.Recorded) ([]added, error) {
	current, err := numbers.Upcast(r)
	if err != nil {
		return nil, err
	}
	events := make([]added, len(current))
	for i, c := range current {
		if err := json.Unmarshal(c.Data, &events[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func historians(t *testing.T) (*esdbservertest.Server, *repository) {
	t.Helper()
	server := esdbservertest.New(t)
	return server, es.NewRepository(connect(t, server.ConnectionString()), "counter", oldCodec{}, apply)
}

// However many events one of the stored ones means, revisions count those that
// are stored: they are what the next append expects.
func TestAnAggregateGoesOnAfterEventsThatMeanSeveralOrNone(t *testing.T) {
	server, counters := historians(t)
	id := cause.NewID()
	write(t, server, stream(id), "added", `{"Text":"1"}`, `{"version":1}`)
	write(t, server, stream(id), "doubled", `{"N":1}`, `{"version":1}`)
	write(t, server, stream(id), "noted", `{}`, `{"version":1}`)
	state, at, err := counters.Load(within(t), id)
	if want := (counter{Sum: 12 + 1 + 12, Count: 3}); err != nil || state != want || at != 2 {
		t.Fatalf("%+v at %d, %v; want %+v at 2", state, at, err, want)
	}
	state, at, err = counters.Update(within(t), id, command(), es.At(2), add(5))
	if want := (counter{Sum: 30, Count: 4}); err != nil || state != want || at != 3 {
		t.Errorf("%+v at %d, %v; want %+v at 3", state, at, err, want)
	}
}

func TestAnUpcasterThatFailsStopsOnlyThatAggregateAndSaysWhere(t *testing.T) {
	server, counters := historians(t)
	broken, whole := cause.NewID(), cause.NewID()
	write(t, server, stream(broken), "added", `{"Text":"1"}`, `{"version":1}`)
	write(t, server, stream(broken), "added", `{"Text":"two"}`, `{"version":1}`)
	write(t, server, stream(whole), "added", `{"Text":"3"}`, `{"version":1}`)

	want := "event 1 of " + stream(broken) + ": upcast added from version 1: no number"
	if _, _, err := counters.Load(within(t), broken); !errors.Is(err, errNoNumber) || err.Error() != want {
		t.Errorf("loading: %v, want %q", err, want)
	}
	if _, _, err := counters.Update(within(t), broken, command(), es.Precondition{}, add(1)); !errors.Is(err, errNoNumber) {
		t.Errorf("updating: %v", err)
	}
	if length := len(server.Events(t, stream(broken))); length != 2 {
		t.Errorf("%d events after a command that could not be decided", length)
	}
	if state, _, err := counters.Load(within(t), whole); err != nil || state.Sum != 36 {
		t.Errorf("the other one: %+v, %v", state, err)
	}
}
