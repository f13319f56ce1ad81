package service_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/position"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// shown is a service with a projection, which applies events once gate is open.
type shown struct {
	*world
	bus  eventbus.Bus
	db   sqldb.DB
	in   *inbox.Inbox
	gate chan struct{}
	read atomic.Int64 // how often the handler of the read ran
}

type shownInput struct {
	service.AfterQuery
	Extra string `query:"extra" maxLength:"3"`
}

type shownOutput struct{ Body struct{ Applied int } }

const nobody = "?extra=no" // asks for what is not there

func newShown(t *testing.T) *shown {
	t.Helper()
	s := &shown{world: newWorld(t), gate: make(chan struct{})}
	s.startReady(func(ctx context.Context, svc *service.Service) {
		s.db, s.bus = svc.Database(), svc.Bus(ctx)
		s.in = inbox.New(s.db, "test", svc.Log, inbox.Options{})
		inbox.On(s.in, "order.events.placed.v1", func(ctx context.Context, _ sqldb.Tx, _ eventbus.Event, _ struct{}) error {
			select {
			case <-s.gate:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		inbox.On(s.in, "order.events.cancelled.v1", func(context.Context, sqldb.Tx, eventbus.Event, struct{}) error {
			return inbox.Park(errors.New("not understood"))
		})
		inbox.On(s.in, "order.events.packed.v1", func(context.Context, sqldb.Tx, eventbus.Event, struct{}) error {
			return errors.New("not now")
		})
		svc.Migrate(s.db, migrations, inbox.Migrate)
		projection := svc.Consume(s.bus, s.in)
		service.Read(svc, projection, "/shown", "What is shown", func(_ context.Context, in *shownInput) (*shownOutput, error) {
			s.read.Add(1)
			if in.Extra == "no" {
				return nil, service.NotFound("row", in.Extra)
			}
			return &shownOutput{}, nil
		})
	})
	return s
}

// says publishes an event about the order and returns its position.
func (s *shown) says(name string, sequence int64) position.Position {
	s.t.Helper()
	e := eventbus.Event{
		ID: name + strconv.FormatInt(sequence, 10), Source: "/orderflow/order", Type: name + ".v1", Subject: orderID,
		Time: time.Now(), Data: []byte(`{}`), CorrelationID: "c", Sequence: sequence,
	}
	if err := s.bus.Publish(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
	return position.Of(e)
}

func (s *shown) after(p position.Position, more string) answer {
	s.t.Helper()
	return s.ask(http.MethodGet, "/shown?after="+p.String()+more, "")
}

func TestAReadWithAPositionIsAnsweredWhenItShowsThat(t *testing.T) {
	s := newShown(t)
	p := s.says("order.events.placed", 4)
	if a := s.after(p, "&wait=0s"); code(problem(t, a)) != "position-not-reached" || a.status != 503 || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if s.read.Load() != 0 {
		t.Error("it was read before it was there")
	}
	waiting := make(chan answer, 1)
	go func() {
		a, err := s.askErr(http.MethodGet, "/shown?wait=5s&after="+p.String(), "")
		if err != nil {
			t.Error(err)
		}
		waiting <- a
	}()
	close(s.gate)
	s.eventually("it is shown", func() bool { return s.after(p, "").status == http.StatusOK })
	if a := <-waiting; a.status != http.StatusOK && a.status != http.StatusServiceUnavailable { // a machine so busy that 5 s were not enough
		t.Errorf("%d %s", a.status, a.body)
	}
	for name, trivial := range map[string]position.Position{
		"read in another version":   {Source: p.Source, Subject: p.Subject, Name: position.NameOf("order.events.placed.v9"), Sequence: 4},
		"not read":                  {Source: p.Source, Subject: p.Subject, Name: "order.events.delayed", Sequence: 99},
		"what it wrote itself":      {Source: "/orderflow/test", Subject: "x", Name: "test.events.happened", Sequence: 99},
		"of a service it never met": {Source: "/elsewhere", Subject: "x", Name: "other.events.happened", Sequence: 1},
	} {
		if a := s.after(trivial, "&wait=0s"); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestAReadSaysWhyItCannotShowWhatWasAskedFor(t *testing.T) {
	s := newShown(t)
	parked, held := s.says("order.events.cancelled", 5), s.says("order.events.packed", 6)
	s.eventually("both are aside", func() bool {
		h, p, err := s.in.Backlog(t.Context())
		return err == nil && h == 1 && p == 1
	})
	for _, want := range []struct {
		at          position.Position
		code, retry string
		detail      string
	}{
		{parked, "position-parked", "60", "/deadletters"},
		{held, "position-not-reached", "1", "tries it again"},
		{position.Position{Source: held.Source, Subject: held.Subject, Name: held.Name, Sequence: 7}, "position-not-reached", "1", "not arrived"},
	} {
		a := s.after(want.at, "&wait=10ms")
		p := problem(t, a)
		if a.status != 503 || code(p) != want.code || a.header.Get("Retry-After") != want.retry || !strings.Contains(p.Detail, want.detail) {
			t.Errorf("%d %s %q %q", a.status, code(p), a.header.Get("Retry-After"), p.Detail)
		}
		if a.header.Get("Orderflow-Behind") == "" {
			t.Errorf("%s does not say how far it is behind: %v", want.code, a.header)
		}
	}
	// What is held holds back what is known to be complete, for ever so long.
	if a := s.ask(http.MethodGet, "/shown", ""); a.status != http.StatusOK || a.header.Get("Orderflow-Behind") == "0.000" {
		t.Errorf("%d, behind %q", a.status, a.header.Get("Orderflow-Behind"))
	}
}

func TestABadPositionOrWaitIsRefused(t *testing.T) {
	s := newShown(t)
	for query, at := range map[string]string{
		"after=x":                            "query.after: not an Orderflow-Position",
		"after=" + service.Cursor(1, "x"):    "query.after: not an Orderflow-Position",
		"wait=6s":                            "query.wait: at most 5s",
		"wait=99999s":                        "query.wait: at most 5s",
		"wait=2":                             "query.wait: expected string to be a number and ms or s",
		"wait=-1s":                           "query.wait: expected string to be a number and ms or s",
		"wait=1h":                            "query.wait: expected string to be a number and ms or s",
		"after=" + strings.Repeat("x", 2001): "query.after: expected length <= 2000",
		"extra=long":                         "query.extra: expected length <= 3",
		"else=1":                             "query.else: unknown query parameter",
	} {
		if a := s.ask(http.MethodGet, "/shown?"+query, ""); a.status != http.StatusUnprocessableEntity || fields(problem(t, a)) != at {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if s.read.Load() != 0 {
		t.Error("it was read")
	}
}

func TestAReadSaysHowFarItIsBehind(t *testing.T) {
	s := newShown(t)
	behind := func() float64 {
		a := s.ask(http.MethodGet, "/shown", "")
		if a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		seconds, err := strconv.ParseFloat(a.header.Get("Orderflow-Behind"), 64)
		if err != nil {
			return -1 // unknown
		}
		return seconds
	}
	s.eventually("it is known to be complete", func() bool { b := behind(); return b >= 0 && b < 1 })
	s.says("order.events.placed", 1)
	s.eventually("it falls behind", func() bool { return behind() > 2.5 })
	close(s.gate)
	s.eventually("it has caught up", func() bool { b := behind(); return b >= 0 && b < 1 })
}

// Whoever does not find something wants to know whether it may still come.
func TestANotFoundSaysHowFarItIsBehind(t *testing.T) {
	s := newShown(t)
	if a := s.ask(http.MethodGet, "/shown"+nobody, ""); a.status != http.StatusNotFound || a.header.Get("Orderflow-Behind") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestTheDescriptionTellsOfPositions(t *testing.T) {
	s := newShown(t)
	api := as[struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, Description string }
			Responses  map[string]struct {
				Headers map[string]struct{ Description string }
			}
		}
	}](t, s.ask(http.MethodGet, "/openapi.json", ""))
	read := api.Paths["/shown"]["get"]
	var names []string
	for _, p := range read.Parameters {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "after wait extra" {
		t.Errorf("parameters %s", got)
	}
	for _, status := range []string{"200", "default"} {
		if read.Responses[status].Headers["Orderflow-Behind"].Description == "" {
			t.Errorf("%s: %+v", status, read.Responses)
		}
	}
}
