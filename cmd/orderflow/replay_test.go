package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
)

// audit is a service that is added to a running system: it notes what it is told.
type audit struct {
	mu     sync.Mutex
	events []eventbus.Event
	seen   map[string]bool
	first  []eventbus.Event // in the order of their first arrival
}

func (a *audit) handle(_ context.Context, batch []eventbus.Delivery) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range batch {
		a.events = append(a.events, d.Event)
		if !a.seen[d.Event.ID] {
			a.seen[d.Event.ID] = true
			a.first = append(a.first, d.Event)
		}
	}
	return nil
}

func (a *audit) heard() (all, first []eventbus.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events), slices.Clone(a.first)
}

// audited subscribes to everything.
func (w *world) audited() *audit {
	w.t.Helper()
	bus, err := sqlitebus.Open(w.t.Context(), sqlitebus.Config{Path: w.dir.Bus()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	a := &audit{seen: map[string]bool{}}
	if _, err := bus.Subscribe(w.t.Context(), eventbus.Queue{Name: "audit", Patterns: []string{"#"}}, a.handle); err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestAServiceAddedLaterIsToldEverythingThatWasAnnounced(t *testing.T) {
	w := newWorld(t)
	if s := w.orderflow("replay", "--to", "audit"); s.code != 1 || !strings.Contains(s.err, "nothing is up") {
		t.Errorf("before anything is up: %+v", s)
	}
	w.must("up")
	before := w.audited() // as the truth: it hears everything live
	w.must("demo")
	_, live := before.heard()
	eventually(t, "the demo's last event is heard", func() bool {
		_, now := before.heard()
		same := len(now) == len(live) && len(now) > 0
		live = now
		return same && slices.ContainsFunc(now, func(e eventbus.Event) bool { return e.Type == "dispatch.events.dispatched.v1" })
	})

	if s := w.orderflow("replay", "--to", "nobody"); s.code != 1 || !strings.Contains(s.err, `no such consumer as "nobody"`) ||
		!strings.Contains(s.err, "order, packing, dispatch, crm, reporting") {
		t.Errorf("to nobody: %+v", s)
	}
	if out := w.must("replay", "status"); out != "no replays\n" {
		t.Errorf("it left something behind:\n%s", out)
	}

	// The same consumer is told again: everything it heard live, marked, under the same ids.
	out := w.must("replay", "--to", "audit")
	for _, publisher := range []string{"customer", "catalog", "order", "packing", "dispatch"} {
		if !strings.Contains(out, publisher+" ") || strings.Contains(out, "running") {
			t.Errorf("%s is missing, or is not done:\n%s", publisher, out)
		}
	}
	eventually(t, "all of it was heard twice", func() bool { all, _ := before.heard(); return len(all) >= 2*len(live) })
	all, first := before.heard()
	if len(all) != 2*len(live) || len(first) != len(live) {
		t.Errorf("%d deliveries of %d events, want those %d twice", len(all), len(first), len(live))
	}
	last := map[string]int64{}
	for _, e := range all[len(live):] {
		key := e.Source + e.Subject
		if at, known := last[key]; !e.Replayed || known && e.Sequence < at {
			t.Errorf("%s of %s: replayed %t, sequence %d after %d", e.Type, e.Subject, e.Replayed, e.Sequence, at)
		}
		last[key] = e.Sequence
	}

	// A consumer that has everything is none the wiser; no mail is written twice.
	w.must("replay", "--to", "crm")
	for _, none := range [][]string{{"cancel", "--to", "audit"}, {"resume", "--to", "audit"}} {
		if s := w.orderflow(append([]string{"replay"}, none...)...); s.code != 1 || !strings.Contains(s.err, "no replay to") {
			t.Errorf("%v: %+v", none, s)
		}
	}
	if out := w.must("replay", "status", "--to", "crm"); strings.Count(out, " done ") != 5 {
		t.Errorf("five replays to crm:\n%s", out)
	}
	if out := w.must("replay", "status", "--to", "crm", "--json"); strings.Count(out, `"status":"done"`) != 5 || !strings.Contains(out, `"service":"packing"`) {
		t.Errorf("the same as JSON:\n%s", out)
	}
	if out := w.must("replay", "--to", "audit", "--service", "packing", "--from", "2"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "packing") {
		t.Errorf("one service was asked:\n%s", out)
	}
	for _, unclear := range [][]string{
		{"--from", "yesterday"}, {"--from", "12"}, {"--rate=-1"}, {"--service", "nobody"}, {"--service", "crm"},
	} {
		if s := w.orderflow(append([]string{"replay", "--to", "audit"}, unclear...)...); s.code != 1 || s.out != "" {
			t.Errorf("%v: %+v", unclear, s)
		}
	}
}

func TestWhoStopsWatchingAReplayPausesItAndTheSameCommandGoesOn(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	w.must("demo")
	audit := w.audited()
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan said, 1)
	var out, complaints locked
	go func() {
		code := run(ctx, []string{"replay", "--to", "audit", "--rate", "1", "--data", w.dir.String()}, terminal{Out: &out, Err: &complaints, Environ: w.environ})
		ended <- said{code, out.String(), complaints.String()}
	}()
	eventually(t, "something arrives", func() bool { all, _ := audit.heard(); return len(all) > 0 })
	interrupt()
	s := <-ended
	if s.code != 1 || !strings.Contains(s.err, "paused: the same command goes on") || !strings.Contains(s.out, "paused") {
		t.Errorf("interrupted: %+v", s)
	}
	if s := w.orderflow("replay", "--to", "audit", "--from", "2026-01-02"); s.code != 1 || !strings.Contains(s.err, "begins elsewhere") {
		t.Errorf("another part of the history while one is open: %+v", s)
	}
	if out := w.must("replay", "cancel", "--to", "audit"); !strings.Contains(out, "cancelled") || strings.Contains(out, "paused") {
		t.Errorf("cancelled:\n%s", out)
	}
	w.must("replay", "--to", "audit", "--detach")
	if out := w.must("replay", "--to", "audit"); strings.Count(out, " done ") < 5 {
		t.Errorf("gone on:\n%s", fmt.Sprint(out))
	}
}
