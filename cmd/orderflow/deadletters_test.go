package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/sqldb"
)

// publish puts events on the bus of the system that is up, as a stranger would.
func (w *world) publish(events ...eventbus.Event) {
	w.t.Helper()
	bus, err := sqlitebus.Open(w.t.Context(), sqlitebus.Config{Path: w.dir.Bus()})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() {
		if err := bus.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	}()
	if err := bus.Publish(w.t.Context(), events...); err != nil {
		w.t.Fatal(err)
	}
}

func event(typ, subject, data string) eventbus.Event {
	publisher, _, _ := strings.Cut(typ, ".")
	return eventbus.Event{
		ID: uuid.NewString(), Source: "/orderflow/" + publisher, Type: typ, Subject: subject, Time: time.Now().UTC(), Data: []byte(data),
	}
}

// poison is an event about an order that packing, crm and reporting listen to, and that none of them can read.
func poison() eventbus.Event {
	return event("order.events.placed.v1", uuid.NewString(), `{"orderId":17,"customerId":17,"lines":17,"total":17,"occurredAt":17}`)
}

// lists waits until the list has these events, each in so many services.
func (w *world) lists(where int, events ...eventbus.Event) string {
	w.t.Helper()
	var out string
	eventually(w.t, "the list has all events", func() bool {
		out = w.must("deadletters", "list", "--status", "parked")
		for _, e := range events {
			if strings.Count(out, "  inbox  "+e.ID) != where {
				return false
			}
		}
		return true
	})
	return out
}

func TestDeadLettersAreListedShownRedrivenAndDiscarded(t *testing.T) {
	w := newWorld(t)
	if s := w.orderflow("deadletters"); s.code != 1 || !strings.Contains(s.err, "nothing is up") {
		t.Errorf("before anything is up: %+v", s)
	}
	w.must("up")
	if out := w.must("deadletters"); out != "no dead letters\n" {
		t.Errorf("on a new system:\n%s", out)
	}
	first, second := poison(), poison()
	w.publish(first)
	w.lists(3, first)
	w.publish(second)
	out := w.lists(3, first, second)

	// One line for each service and event, the newest first, with all that is promised.
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 1+6 || !strings.Contains(lines[1], second.ID) {
		t.Errorf("%d lines, want six letters, the newest first:\n%s", len(lines), out)
	}
	for _, line := range lines[1:] {
		words := strings.Fields(line)
		if len(words) < 9 || !strings.Contains(line, "cannot unmarshal number into") || words[1] != "inbox" || words[3] != first.Type || words[5] != "1" || words[6] != "parked" || !strings.HasSuffix(words[7], "s") {
			t.Errorf("not a full line: %q", line)
		}
	}
	if out := w.must("deadletters", "list", "--service", "crm", "--subject", first.Subject, "--type", "order.events.*.v1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one letter was asked for:\n%s", out)
	}
	for _, without := range [][]string{{"--type", "packing.#"}, {"--subject", "x"}, {"--status", "held"}, {"--service", "order"}} {
		if out := w.must(append([]string{"deadletters", "list"}, without...)...); out != "no dead letters\n" {
			t.Errorf("%v fits none:\n%s", without, out)
		}
	}

	// Everything about one of them, the event included.
	var shown struct {
		Service, Box, Reason string
		Event                eventbus.Event
	}
	out = w.must("deadletters", "show", first.ID, "--service", "packing")
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if shown.Service != "packing" || shown.Box != "inbox" || shown.Reason == "" || shown.Event.Subject != first.Subject || string(shown.Event.Data) == "" {
		t.Errorf("shown as %+v", shown)
	}

	// Nothing happens in a dry run, nor to what is unclear.
	if out := w.must("deadletters", "redrive", "--all", "--dry-run"); !strings.HasSuffix(out, "6 would be redriven\n") {
		t.Errorf("dry run:\n%s", out)
	}
	if s := w.orderflow("deadletters", "discard", "--all"); s.code != 1 || !strings.Contains(s.err, "6 events would be given up for good: say --yes") {
		t.Errorf("discarding many without a word: %+v", s)
	}
	for _, unclear := range [][]string{{"redrive"}, {"discard"}, {"redrive", "x", "--all"}, {"redrive", "--all", "--rate", "0"}, {"redrive", "--unrouted", "--all"}, {"redrive", "--unrouted", "--rate", "0"}} {
		if s := w.orderflow(append([]string{"deadletters"}, unclear...)...); s.code != 1 || s.out != "" {
			t.Errorf("%v: %+v", unclear, s)
		}
	}
	w.lists(3, first, second)

	// Tried again, it fails again, and is parked again: with one more failure in the service's log.
	failures := strings.Count(w.must("logs"), second.ID)
	out = w.must("deadletters", "redrive", second.ID, second.ID)
	if strings.Count(out, " inbox "+second.ID) != 3 || !strings.HasSuffix(out, "3 redriven\n") {
		t.Errorf("redriven in three services:\n%s", out)
	}
	eventually(t, "it was tried again", func() bool { return strings.Count(w.must("logs"), second.ID) >= failures+3 })
	w.lists(3, first, second)

	out = w.must("deadletters", "discard", first.ID, "--service", "packing")
	if !strings.Contains(out, "packing inbox "+first.ID+" order.events.placed.v1 of "+first.Subject+": discarded\n1 discarded\n") {
		t.Errorf("discarded one:\n%s", out)
	}
	s := w.orderflow("deadletters", "discard", first.ID, uuid.Nil.String(), "--yes")
	if s.code != 1 || !strings.Contains(s.out, "2 discarded\n") || !strings.Contains(s.err, uuid.Nil.String()) {
		t.Errorf("an id that nobody has keeps nobody from the others: %+v", s)
	}
	if s := w.orderflow("deadletters", "show", first.ID); s.code != 1 || !strings.Contains(s.err, first.ID) {
		t.Errorf("shown after it was discarded: %+v", s)
	}
	if out := w.must("deadletters", "discard", "--type", "order.events.#", "--yes"); !strings.HasSuffix(out, "3 discarded\n") {
		t.Errorf("the rest:\n%s", out)
	}
	if out := w.must("deadletters"); out != "no dead letters\n" {
		t.Errorf("in the end:\n%s", out)
	}
}

// The database of packing refuses one order, as a mistake in a migration could make it. Its event and a later one of the
// same order are held; when the mistake is mended, a person need not wait for the next attempt.
func TestEventRedrivenAfterTheMistakeWasMendedIsHandledAndTheLaterOnesAfterIt(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	db, err := sqldb.Open(t.Context(), "sqlite://"+w.dir.Database("packing"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(statement string) {
		t.Helper()
		err := db.Update(t.Context(), func(tx sqldb.Tx) error { _, err := tx.Exec(t.Context(), statement); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	placed := event("order.events.placed.v1", uuid.NewString(), fmt.Sprintf(
		`{"orderId":"x","customerId":%q,"lines":[{"sku":"tea","name":"Tea","quantity":1,"unitPrice":{"amount":1,"currency":"EUR"}}],
		"total":{"amount":1,"currency":"EUR"},"occurredAt":"2026-01-02T03:04:05Z"}`, uuid.NewString()))
	cancelled := event("order.events.cancelled.v1", placed.Subject, `{"reason":"late","by":"customer","occurredAt":"2026-01-02T03:05:05Z"}`)
	cancelled.Sequence = 1
	exec(fmt.Sprintf(`CREATE TRIGGER mistake BEFORE INSERT ON job WHEN NEW.order_id = '%s' BEGIN SELECT RAISE(ABORT, 'not this one'); END`, placed.Subject))
	w.publish(placed)
	held := func() string { return w.must("deadletters", "list", "--service", "packing", "--status", "held") }
	eventually(t, "the first is held", func() bool { return strings.Contains(held(), "not this one") })
	w.publish(cancelled)
	eventually(t, "the second waits behind it", func() bool { return strings.Contains(held(), "waits behind an earlier one") })

	exec(`DROP TRIGGER mistake`)
	w.must("deadletters", "redrive", placed.ID, "--service", "packing")
	eventually(t, "both were handled", func() bool { return held() == "no dead letters\n" })
	services := client.New(w.state().URLs, 1)
	defer services.Close()
	if status, err := services.JobStatus(t.Context(), placed.Subject); err != nil || status != "cancelled" {
		t.Errorf("the job is %q, %v", status, err)
	}
}

func TestServiceThatDoesNotAnswerIsToldAndTheOthersAreListed(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	e := poison()
	w.publish(e)
	w.lists(3, e)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + listener.Addr().String()
	listener.Close()
	elsewhere := []string{"--url", "packing=" + w.state().URLs["packing"] + "/", "--url", "crm=" + gone}
	s := w.orderflow(append([]string{"deadletters", "list"}, elsewhere...)...)
	if s.code != 1 || !strings.Contains(s.out, e.ID) || s.err != "orderflow: crm does not answer: connection refused\n" {
		t.Errorf("%+v", s)
	}
	s = w.orderflow(append([]string{"deadletters", "redrive", "--all"}, elsewhere...)...)
	if s.code != 1 || !strings.Contains(s.out, "1 redriven\n") || !strings.Contains(s.err, "crm does not answer") {
		t.Errorf("%+v", s)
	}
	if s := w.orderflow("deadletters", "list", "--url", "crm="+gone); s.code != 1 || s.out != "no dead letters where it could be asked\n" {
		t.Errorf("nobody has answered: %+v", s)
	}
	if s := w.orderflow("deadletters", "list", "--url", "packing=localhost:8083"); s.code != 1 || !strings.Contains(s.err, "localhost:8083 of packing begins neither with http://") {
		t.Errorf("%+v", s)
	}
	if s := w.orderflow("deadletters", "list", "--service", "cmr"); s.code != 1 || !strings.Contains(s.err, "there is no cmr") {
		t.Errorf("%+v", s)
	}
}

func TestUnroutedEventsAreCountedAndRedriven(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	if out := w.must("deadletters", "redrive", "--unrouted"); out != "0 were published once more; 0 are without a subscriber now\n" {
		t.Errorf("with none:\n%s", out)
	}
	early, never := event("later.events.happened.v1", "s", `{}`), event("nobody.events.happened.v1", "s", `{}`)
	w.publish(early, never)
	if out := w.must("deadletters"); !strings.Contains(out, "2 unrouted") {
		t.Errorf("the list does not speak of them:\n%s", out)
	}

	// A service that is added later is given the history.
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: w.dir.Bus()})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	heard := make(chan string, 10)
	queue := eventbus.Queue{Name: "later", Patterns: []string{"later.#"}}
	_, err = bus.Subscribe(t.Context(), queue, func(_ context.Context, batch []eventbus.Delivery) error {
		for _, d := range batch {
			heard <- d.Event.ID
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := w.must("deadletters", "redrive", "--unrouted", "--dry-run"); out != "2 would be published once more\n" {
		t.Errorf("dry run:\n%s", out)
	}
	if out := w.must("deadletters", "redrive", "--unrouted"); !strings.HasSuffix(out, "2 were published once more; 1 are without a subscriber now\n") {
		t.Errorf("redriven:\n%s", out)
	}
	select {
	case id := <-heard:
		if id != early.ID {
			t.Errorf("heard %s, want %s", id, early.ID)
		}
	case <-time.After(30 * time.Second):
		t.Error("the new service has heard nothing")
	}
}
