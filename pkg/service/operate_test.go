package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

const orderID = "0198c5a0-0000-7000-8000-000000000001"

// operated is a service with an inbox whose handler fails, an outbox whose
// events nobody takes, and a relay that translates nothing.
type operated struct {
	*world
	in     *inbox.Inbox
	out    *outbox.Outbox
	db     sqldb.DB
	bus    eventbus.Bus
	server *esdbservertest.Server
}

func newOperated(t *testing.T) *operated {
	t.Helper()
	o := &operated{world: newWorld(t), server: esdbservertest.New(t)}
	o.environ["EVENTSTORE_URL"] = o.server.ConnectionString()
	o.startReady(func(ctx context.Context, svc *service.Service) {
		o.db, o.bus = svc.Database(), svc.Bus(ctx)
		store := svc.EventStore()
		o.in = inbox.New(o.db, "test", svc.Log, inbox.Options{})
		o.out = outbox.New(o.db, o.bus, svc.Log, outbox.Options{})
		inbox.On(o.in, "order.events.placed.v1", func(context.Context, sqldb.Tx, eventbus.Event, struct{}) error {
			return inbox.Park(errors.New("not understood"))
		})
		inbox.On(o.in, "order.events.cancelled.v1", func(context.Context, sqldb.Tx, eventbus.Event, struct{}) error {
			return errors.New("not now")
		})
		inbox.On(o.in, "order.events.packed.v1", func(context.Context, sqldb.Tx, eventbus.Event, struct{}) error { return nil })
		r := relay.New(relay.Config{
			Name: "test", Store: store, Prefixes: []string{"order-"}, DB: o.db, Bus: o.bus, Log: svc.Log,
			Translate: func(_ context.Context, r es.Recorded) ([]eventbus.Event, error) {
				if r.Type == "broken" {
					return nil, errors.New("no meaning")
				}
				return []eventbus.Event{{
					ID: r.ID.String(), Source: "/orderflow/test", Type: "test.events." + r.Type + ".v1", Subject: orderID, Time: r.At, Data: r.Data,
				}}, nil
			},
		})
		svc.Migrate(o.db, migrations, inbox.Migrate, outbox.Migrate, relay.Migrate)
		svc.Consume(o.bus, o.in)
		svc.Publish(o.out)
		svc.Relay(r)
		row := func(context.Context, string) ([]service.TraceItem, error) {
			return []service.TraceItem{{At: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Kind: "wrote", Type: "row"}}, nil
		}
		svc.ServeTrace(service.TraceInbox(o.in), service.TraceOutbox(o.out), service.TraceRelay(r), row)
		svc.ServeDeadLetters(service.InboxBox{Inbox: o.in}, service.OutboxBox{Outbox: o.out}, service.RelayBox{Relay: r})
		svc.ServeLedger(ledgerOf("customer", "s0", "s1", "s2", "s3", "s4"), ledgerOf("product"), ledgerOf("order", "o0", "o1", "o1", "s1"))
		svc.ServeAnnouncements(service.OfOutbox(o.out))
	})
	return o
}

func (o *operated) event(id, typ string) eventbus.Event {
	return eventbus.Event{
		ID: id, Source: "/orderflow/order", Type: typ, Subject: orderID, Time: time.Now(), Data: []byte(`{}`), CorrelationID: "c",
	}
}

// receive delivers an event through the bus.
func (o *operated) receive(id, typ string) {
	o.t.Helper()
	if err := o.bus.Publish(o.t.Context(), o.event(id, typ)); err != nil {
		o.t.Fatal(err)
	}
}

// announce puts events into the outbox that one command brought about.
func (o *operated) announce(types ...string) {
	o.t.Helper()
	c := cause.Cause{ID: cause.NewID(), CorrelationID: "c", Request: "POST /pack", At: time.Now()}
	events := make([]eventbus.Event, len(types))
	for i, typ := range types {
		events[i] = o.event(c.EventID("test", i).String(), typ)
		events[i].CausationID = c.ID.String()
	}
	err := o.db.Update(o.t.Context(), func(tx sqldb.Tx) error { return o.out.Add(o.t.Context(), tx, c, events...) })
	if err != nil {
		o.t.Fatal(err)
	}
}

// commit appends an event to the order's stream.
func (o *operated) commit(typ string) {
	o.t.Helper()
	o.server.Append(o.t, "order-"+orderID,
		esdb.EventData{EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)})
}

func (o *operated) letters(query string) service.Page[service.DeadLetter] {
	o.t.Helper()
	return as[service.Page[service.DeadLetter]](o.t, o.ask(http.MethodGet, "/deadletters"+query, ""))
}

func TestDeadLettersOfAllBoxesAreListedInPages(t *testing.T) {
	o := newOperated(t)
	for i := range 3 {
		o.receive(fmt.Sprintf("in-%d", i), "order.events.placed.v1")
		o.eventually("it was parked", func() bool { return len(o.letters("").Items) == i+1 })
	}
	o.announce("nobody.commands.one.v1", "nobody.commands.two.v1")
	o.commit("broken")
	o.eventually("all are parked", func() bool { return len(o.letters("").Items) == 6 })
	all := o.letters("").Items
	var boxes []string
	for _, letter := range all {
		boxes = append(boxes, letter.Box)
		if letter.Reason == "" || letter.Status != "parked" || letter.FailedAt.IsZero() || !json.Valid(letter.Event) {
			t.Errorf("incomplete: %+v", letter)
		}
	}
	if diff := cmp.Diff([]string{"inbox", "inbox", "inbox", "outbox", "outbox", "relay"}, boxes); diff != "" {
		t.Error(diff)
	}
	if all[0].ID != "in-2" {
		t.Errorf("%s is first, want the newest", all[0].ID)
	}
	for limit := 1; limit <= 6; limit++ {
		var got []string
		cursor, pages := "", 0
		for {
			page := o.letters(fmt.Sprintf("?limit=%d&cursor=%s", limit, cursor))
			for _, letter := range page.Items {
				got = append(got, letter.ID)
			}
			pages++
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
		var want []string
		for _, letter := range all {
			want = append(want, letter.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" || pages != (6+limit-1)/limit {
			t.Errorf("limit %d: %d pages; %s", limit, pages, diff)
		}
	}
	for _, bad := range []string{"x", service.Cursor(9, ""), service.Cursor(-1, ""), service.Cursor(0, "rubbish"), service.Cursor(1, "rubbish"), service.Cursor(2, "rubbish")} {
		if a := o.ask(http.MethodGet, "/deadletters?cursor="+bad, ""); a.status != http.StatusUnprocessableEntity || fields(problem(t, a)) == "" {
			t.Errorf("%q: %d %s", bad, a.status, a.body)
		}
	}
}

func TestDeadLettersAreShownRedrivenAndDiscarded(t *testing.T) {
	o := newOperated(t)
	o.receive("in", "order.events.placed.v1")
	o.announce("nobody.commands.one.v1")
	o.commit("broken")
	o.eventually("all are parked", func() bool { return len(o.letters("").Items) == 3 })
	for _, letter := range o.letters("").Items {
		path := "/deadletters/" + letter.ID
		if got := as[service.DeadLetter](t, o.ask(http.MethodGet, path, "")); got.Box != letter.Box || got.Reason != letter.Reason {
			t.Errorf("%+v, listed as %+v", got, letter)
		}
		switch a := o.ask(http.MethodPost, path+"/redrive", ""); letter.Box {
		case "relay":
			if a.status != http.StatusConflict || code(problem(t, a)) != "untranslatable-event" {
				t.Errorf("redriving what still has no meaning: %d %s", a.status, a.body)
			}
		default:
			if a.status != http.StatusOK {
				t.Errorf("redriving from the %s: %d %s", letter.Box, a.status, a.body)
			}
			o.eventually("it is parked again", func() bool {
				return o.try(http.MethodGet, path) == http.StatusOK && as[service.DeadLetter](t, o.ask(http.MethodGet, path, "")).Status == "parked"
			})
		}
		if a := o.ask(http.MethodDelete, path, ""); a.status != http.StatusNoContent {
			t.Errorf("discarding from the %s: %d %s", letter.Box, a.status, a.body)
		}
		for _, request := range []string{"GET " + path, "DELETE " + path, "POST " + path + "/redrive"} {
			method, path, _ := strings.Cut(request, " ")
			if a := o.ask(method, path, ""); a.status != http.StatusNotFound || code(problem(t, a)) != "not-found" {
				t.Errorf("%s after it was discarded: %d %s", request, a.status, a.body)
			}
		}
	}
}

func TestATraceTellsWhatHappenedInOrder(t *testing.T) {
	o := newOperated(t)
	trace := func() []service.TraceItem {
		return as[service.Trace](t, o.ask(http.MethodGet, "/trace/"+orderID, "")).Items
	}
	until := func(what string, n int) {
		t.Helper()
		o.eventually(what, func() bool { return len(trace()) == n && !strings.Contains(fmt.Sprint(trace()), "pending") })
	}
	until("the row is told", 1)
	o.receive("in-1", "order.events.packed.v1")
	until("the event was received", 2)
	o.announce("test.events.first.v1", "test.events.second.v1")
	until("request and events are told", 5)
	o.commit("noted")
	until("the relay's is told", 6)
	o.commit("broken")
	until("what the relay parked is told", 7)
	o.receive("in-2", "order.events.placed.v1")
	until("what the inbox parked is told", 8)
	var got []string
	items := trace()
	for i, item := range items {
		got = append(got, item.Kind+" "+item.Type)
		if i > 0 && item.At.Before(items[i-1].At) {
			t.Errorf("%+v before %+v", items[i-1], item)
		}
	}
	want := []string{
		"wrote row", "received order.events.packed.v1", "http POST /pack", "published test.events.first.v1", "published test.events.second.v1",
		"published test.events.noted.v1", "parked broken", "parked order.events.placed.v1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a := o.ask(http.MethodGet, "/trace/17", ""); a.status != http.StatusNotFound {
		t.Errorf("what is no order: %d", a.status)
	}
}

// ledgerOf is a ledger with rows of these subjects, which are in order.
func ledgerOf(kind string, subjects ...string) service.Ledger {
	return service.Ledger{Kind: kind, Read: func(_ context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
		var rows []service.LedgerRow
		for i, subject := range subjects {
			if selected := subject > q.Subject && !q.Exactly || subject == q.Subject && q.Exactly; selected && len(rows) < q.Limit {
				rows = append(rows, service.LedgerRow{Subject: subject, LastSequence: int64(i)})
			}
		}
		return rows, nil
	}}
}

// Whatever the size of the pages: also where one ends with a ledger, or between
// the two rows that a fault has left of one subject.
func TestTheLedgerIsListedBySubjectInPages(t *testing.T) {
	o := newOperated(t)
	rowsOf := func(query string) (rows []string, next string) {
		page := as[service.Page[service.LedgerRow]](t, o.ask(http.MethodGet, "/ledger?"+query, ""))
		for _, row := range page.Items {
			rows = append(rows, fmt.Sprintf("%s %s %d", row.Kind, row.Subject, row.LastSequence))
		}
		return rows, page.NextCursor
	}
	want := []string{
		"customer s0 0", "customer s1 1", "customer s2 2", "customer s3 3", "customer s4 4",
		"order o0 0", "order o1 1", "order o1 2", "order s1 3",
	}
	for limit := range 10 {
		var got []string
		for cursor := ""; ; {
			rows, next := rowsOf(fmt.Sprintf("limit=%d&cursor=%s", limit+1, cursor))
			got = append(got, rows...)
			if cursor = next; cursor == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d: %s", limit+1, diff)
		}
	}
	rows, _ := rowsOf("subject=s1")
	if diff := cmp.Diff([]string{"customer s1 1", "order s1 3"}, rows); diff != "" {
		t.Error(diff)
	}
	if a := o.ask(http.MethodGet, "/ledger?subject=%00", ""); a.status != http.StatusOK {
		t.Errorf("a subject that nothing has: %d", a.status)
	}
	if a := o.ask(http.MethodGet, "/ledger?cursor="+service.Cursor(-1, "x"), ""); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a cursor from elsewhere: %d", a.status)
	}
}

func TestAnnouncementsAreListedInPages(t *testing.T) {
	o := newOperated(t)
	o.announce("nobody.events.one.v1", "nobody.events.two.v1", "nobody.events.three.v1")
	o.eventually("all are published", func() bool {
		got := map[string]string{}
		for cursor := ""; ; {
			page := as[service.Page[service.Announcement]](t, o.ask(http.MethodGet, "/announcements?limit=2&cursor="+cursor, ""))
			for _, a := range page.Items {
				if a.ID == "" || a.CausationID == "" || a.At.IsZero() || a.Subject != orderID {
					t.Fatalf("%+v", a)
				}
				got[a.Type] = a.Status
			}
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
		return cmp.Equal(got, map[string]string{
			"nobody.events.one.v1": "published", "nobody.events.two.v1": "published", "nobody.events.three.v1": "published",
		})
	})
}

func TestUnroutedEventsOfTheSystemAreCountedAndRedriven(t *testing.T) {
	o := newOperated(t)
	kept := func() int { return as[service.Unrouted](t, o.ask(http.MethodGet, "/unrouted", "")).Events }
	if n := kept(); n != 0 {
		t.Fatalf("%d on a new bus", n)
	}
	if err := o.bus.Publish(t.Context(), o.event("a", "nobody.events.one.v1"), o.event("b", "late.events.two.v1")); err != nil {
		t.Fatal(err)
	}
	if n := kept(); n != 2 {
		t.Fatalf("%d kept, want 2", n)
	}
	queue := eventbus.Queue{Name: "late", Patterns: []string{"late.#"}}
	if _, err := o.bus.Subscribe(t.Context(), queue, func(context.Context, []eventbus.Delivery) error { return nil }); err != nil {
		t.Fatal(err)
	}
	a := o.ask(http.MethodPost, "/unrouted/redrive", "")
	if got, want := as[service.RedrivenUnrouted](t, a), (service.RedrivenUnrouted{Published: 2, Left: 1}); a.status != http.StatusOK || got != want {
		t.Errorf("%d %s, want %+v", a.status, a.body, want)
	}
}

func TestDeadLetterIsFoundWhateverItsIDLooksLike(t *testing.T) {
	o := newOperated(t)
	const id = "a/b?c d%2Fä"
	o.receive(id, "order.events.placed.v1")
	o.eventually("it was parked", func() bool { return len(o.letters("").Items) == 1 })
	path := "/deadletters/" + url.PathEscape(id)
	if got := as[service.DeadLetter](t, o.ask(http.MethodGet, path, "")); got.ID != id {
		t.Errorf("found %q", got.ID)
	}
	if a := o.ask(http.MethodPost, path+"/redrive", ""); a.status != http.StatusOK {
		t.Errorf("redriven: %d %s", a.status, a.body)
	}
	o.eventually("it was parked again", func() bool { return o.letters("").Items[0].Status == "parked" })
	if a := o.ask(http.MethodDelete, path, ""); a.status != http.StatusNoContent {
		t.Errorf("discarded: %d %s", a.status, a.body)
	}
}
