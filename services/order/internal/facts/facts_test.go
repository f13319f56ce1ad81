package facts_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/facts"
	"orderflow/services/order/internal/stored"
)

const customer = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"

var at = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// world is the consumer of facts with an event store of its own.
type world struct {
	store  *esdbservertest.Server
	orders *es.Repository[domain.Order, domain.Event]
	in     *inbox.Inbox
}

// quick makes the inbox turn at the pace of a test.
var quick = inbox.Options{
	MaxAttempts: 3, BaseDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond, Poll: 5 * time.Millisecond,
	Outage: func(err error) bool { return errors.Is(err, es.ErrUnavailable) },
}

func newWorld(t *testing.T, db sqldb.DB) *world {
	t.Helper()
	return newWorldWith(t, db, quick)
}

// impatient gives up on an event store that does not answer before long, and on
// an order that is not there only after a long time.
func impatient() inbox.Options {
	options := quick
	options.Timeout, options.MaxAttempts = time.Second, 10_000
	return options
}

func newWorldWith(t *testing.T, db sqldb.DB, options inbox.Options) *world {
	t.Helper()
	if err := inbox.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	store := esdbservertest.New(t, esdbservertest.InDir(t.TempDir()))
	log := slog.New(slog.DiscardHandler)
	client, err := es.Open(store.ConnectionString(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w := &world{
		store: store, orders: es.NewRepository(client, "order", stored.Codec{}, domain.Apply), in: inbox.New(db, "order", log, options),
	}
	facts.Register(w.in, w.orders)
	return w
}

// run keeps trying held events until the test ends.
func (w *world) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.in.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) place(t *testing.T) uuid.UUID {
	t.Helper()
	id := cause.NewID()
	w.placeAs(t, id)
	return id
}

func (w *world) placeAs(t *testing.T, id uuid.UUID) {
	t.Helper()
	lines := []domain.Line{{SKU: "mug", Name: "Mug", Quantity: 1, UnitPrice: domain.Money{Amount: 100, Currency: "EUR"}}}
	c := cause.FromContext(t.Context())
	_, _, err := w.orders.Update(t.Context(), id, c, es.Precondition{}, func(o domain.Order) ([]domain.Event, error) {
		return o.Place(customer, lines, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) order(t *testing.T, id uuid.UUID) (domain.Order, es.Revision) {
	t.Helper()
	o, revision, err := w.orders.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o, revision
}

func (w *world) tell(t *testing.T, events ...eventbus.Event) {
	t.Helper()
	if err := w.hand(t, events...); err != nil {
		t.Fatal(err)
	}
}

func (w *world) hand(t *testing.T, events ...eventbus.Event) error {
	t.Helper()
	batch := make([]eventbus.Delivery, len(events))
	for i, e := range events {
		batch[i] = eventbus.Delivery{Event: e}
	}
	return w.in.Handle(t.Context(), batch)
}

func (w *world) backlog(t *testing.T) (held, parked int) {
	t.Helper()
	held, parked, err := w.in.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return held, parked
}

// fact is an event of another service about an order, n minutes later.
func fact(t *testing.T, typ string, order uuid.UUID, n int, more map[string]any) eventbus.Event {
	t.Helper()
	when := at.Add(time.Duration(n) * time.Minute)
	data := map[string]any{"orderId": order.String(), "occurredAt": when}
	for name, value := range more {
		data[name] = value
	}
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return eventbus.Event{
		ID: cause.Derive(order, typ).String(), Source: "/orderflow/packing", Type: typ, Subject: order.String(), Time: when,
		Data: text, CorrelationID: "corr", CausationID: "cause", TraceParent: "00-c6527528934c5d8f86b9ca8ef73cb85e-a5d0f1c71b6758f2-01",
	}
}

func packed(t *testing.T, order uuid.UUID) eventbus.Event {
	return fact(t, "packing.events.packed.v1", order, 1, map[string]any{"packedBy": "Piet"})
}

func rejected(t *testing.T, order uuid.UUID) eventbus.Event {
	return fact(t, "packing.events.rejected.v1", order, 2, map[string]any{"reason": "out of stock"})
}

func dispatched(t *testing.T, order uuid.UUID) eventbus.Event {
	return fact(t, "dispatch.events.dispatched.v1", order, 3, map[string]any{"carrier": "post"})
}

func TestFactsAreRecordedAsTheyAreTold(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		sent, refused := w.place(t), w.place(t)
		w.tell(t, packed(t, sent), rejected(t, refused), dispatched(t, sent))

		o, revision := w.order(t, sent)
		if o.Status != domain.StatusDispatched || revision != 2 ||
			!o.PackedAt.Equal(at.Add(time.Minute)) || !o.DispatchedAt.Equal(at.Add(3*time.Minute)) {
			t.Errorf("sent order at revision %d: %+v", revision, o)
		}
		o, revision = w.order(t, refused)
		if o.Status != domain.StatusCancelled || revision != 2 || o.CancelReason != "out of stock" || !o.CancelledAt.Equal(at.Add(2*time.Minute)) {
			t.Errorf("refused order at revision %d: %+v", revision, o)
		}
		events := w.store.Events(t, es.StreamName("order", sent))
		incoming := packed(t, sent)
		if want := cause.Of(incoming).EventID(es.StreamName("order", sent), 0); events[1].EventID != want {
			t.Errorf("the id of the event is %s, not derived from the fact's", events[1].EventID)
		}
		var metadata es.Metadata
		if err := json.Unmarshal(events[1].UserMetadata, &metadata); err != nil {
			t.Fatal(err)
		}
		want := es.Metadata{Version: 1, CorrelationID: "corr", CausationID: incoming.ID, TraceParent: incoming.TraceParent}
		if diff := cmp.Diff(want, metadata); diff != "" {
			t.Error(diff)
		}
	})
}

// A release that wrote a rejection as one event has died before it acknowledged
// the fact. The first of the two events of today has the id of that one.
func TestARejectionThatAnEarlierReleaseRecordedIsNotRecordedAgain(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	id := w.place(t)
	stream, fact := es.StreamName("order", id), rejected(t, id)
	w.store.Append(t, stream, esdb.EventData{
		EventID: cause.Of(fact).EventID(stream, 0), EventType: "order-cancelled", ContentType: esdb.ContentTypeJson,
		Data:     []byte(`{"customerId":"` + customer + `","reason":"out of stock","by":"packing","cancelledAt":"2026-03-14T15:11:26Z"}`),
		Metadata: []byte(`{"version":1}`),
	})
	w.tell(t, fact)
	if o, revision := w.order(t, id); revision != 1 || o.Status != domain.StatusCancelled {
		t.Errorf("at revision %d: %+v", revision, o)
	}
	if held, parked := w.backlog(t); held+parked > 0 {
		t.Errorf("%d held, %d parked", held, parked)
	}
}

// Once in the same batch, once in a later one, and once when the inbox has lost
// its memory: the stream knows.
func TestAFactThatComesAgainIsRecordedOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		id := w.place(t)
		all := []eventbus.Event{packed(t, id), packed(t, id), dispatched(t, id), packed(t, id), dispatched(t, id)}
		w.tell(t, all...)
		w.tell(t, all...)
		sqldbtest.Exec(t, db, `DELETE FROM inbox`)
		w.tell(t, all...)
		if _, revision := w.order(t, id); revision != 2 {
			t.Errorf("at revision %d, want 2", revision)
		}
		// The same fact under another id, as after a publisher's database was put back.
		other := packed(t, id)
		other.ID = cause.NewID().String()
		w.tell(t, other)
		if _, revision := w.order(t, id); revision != 2 {
			t.Errorf("at revision %d, want 2", revision)
		}
		if held, parked := w.backlog(t); held+parked > 0 {
			t.Errorf("%d held, %d parked", held, parked)
		}
	})
}

func TestAFactAboutAnUnknownOrderIsHeldAndThenParkedAndNotLost(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		unknown, known := cause.NewID(), w.place(t)
		w.tell(t, packed(t, unknown), dispatched(t, unknown), packed(t, known))
		if held, parked := w.backlog(t); held != 2 || parked != 0 {
			t.Fatalf("%d held, %d parked, want both facts held", held, parked)
		}
		if o, _ := w.order(t, known); o.Status != domain.StatusPacked {
			t.Errorf("the other order is %s: it had to wait", o.Status)
		}
		w.run(t)
		sqldbtest.Eventually(t, "both parked", func() bool {
			held, parked := w.backlog(t)
			return held == 0 && parked == 2
		})
		letters, _, err := w.in.DeadLetters(t.Context(), "", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, letter := range letters {
			if letter.Attempts != quick.MaxAttempts || letter.Reason != domain.ErrNotPlaced.Error() {
				t.Errorf("%s after %d attempts: %s", letter.Event.Type, letter.Attempts, letter.Reason)
			}
		}
		// The order turns up, and a person tries again.
		w.placeAs(t, unknown)
		for _, letter := range letters {
			if err := w.in.Redrive(t.Context(), letter.Event.ID); err != nil {
				t.Fatal(err)
			}
		}
		sqldbtest.Eventually(t, "the order was dispatched", func() bool {
			o, _ := w.order(t, unknown)
			return o.Status == domain.StatusDispatched && !o.PackedAt.IsZero()
		})
	})
}

func TestAnEventStoreThatIsDownIsNotTheFactsFault(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorldWith(t, db, impatient())
		id := w.place(t)
		w.store.Stop()
		for range 2 {
			if err := w.hand(t, packed(t, id)); !errors.Is(err, es.ErrUnavailable) {
				t.Fatalf("the bus is told %v, want it to deliver again", err)
			}
		}
		if held, parked := w.backlog(t); held+parked > 0 {
			t.Errorf("%d held, %d parked: an attempt was counted", held, parked)
		}
		w.store.Start()
		sqldbtest.Eventually(t, "delivered", func() bool { return w.hand(t, packed(t, id)) == nil })
		if o, _ := w.order(t, id); o.Status != domain.StatusPacked {
			t.Errorf("the order is %s", o.Status)
		}
	})
}

// A fact that is held already does not use up its attempts during an outage.
func TestAnOutageCountsNoAttemptOfAHeldFact(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, sqldbtest.SQLite(t), impatient())
	id := cause.NewID()
	w.tell(t, packed(t, id)) // the first attempt: no such order
	w.store.Stop()
	w.run(t)
	sqldbtest.Eventually(t, "the inbox noticed the outage", func() bool { return errors.Is(w.in.Ready(), es.ErrUnavailable) })
	letter, err := w.in.DeadLetter(t.Context(), packed(t, id).ID)
	if err != nil {
		t.Fatal(err)
	}
	// The attempt under way may be counted; it is given back.
	if letter.Status != "held" || letter.Attempts > 2 {
		t.Errorf("%s after %d attempts", letter.Status, letter.Attempts)
	}
	w.store.Start()
	w.placeAs(t, id)
	sqldbtest.Eventually(t, "packed", func() bool {
		o, _ := w.order(t, id)
		return o.Status == domain.StatusPacked
	})
}

func TestAFactThatCanNeverBeRecordedIsParkedAtOnce(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	id := w.place(t)
	noTime, noOrder, noJSON := packed(t, id), dispatched(t, id), rejected(t, id)
	noTime.Data = []byte(`{"orderId":"` + id.String() + `"}`)
	noOrder.Data = []byte(`{"orderId":"seven","occurredAt":"2026-03-14T15:09:26Z"}`)
	noJSON.Data = []byte(`rejected`)
	w.tell(t, noTime, noOrder, noJSON)
	if held, parked := w.backlog(t); held != 0 || parked != 3 {
		t.Errorf("%d held, %d parked", held, parked)
	}
	if _, revision := w.order(t, id); revision != 0 {
		t.Errorf("recorded up to revision %d", revision)
	}
}

func TestEverySampleOfWhatIsReadIsRecorded(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	for _, typ := range w.in.Patterns() {
		for _, sample := range contractstest.Samples(t, typ) {
			id := uuid.MustParse(sample.Subject)
			if _, _, err := w.orders.Load(t.Context(), id); errors.Is(err, es.ErrNotFound) {
				w.placeAs(t, id)
			}
			w.tell(t, sample)
			o, _ := w.order(t, id)
			told := map[string]time.Time{facts.PackedV1: o.PackedAt, facts.RejectedV1: o.CancelledAt, facts.DispatchedV1: o.DispatchedAt}
			if typ == facts.RejectedV1 && !o.DispatchedAt.IsZero() {
				continue // the parcel of this one has left
			}
			if !told[typ].Equal(sample.Time) {
				t.Errorf("sample %s of %s: the order says %s, the sample %s", sample.ID, typ, told[typ], sample.Time)
			}
		}
	}
	if held, parked := w.backlog(t); held+parked > 0 {
		t.Errorf("%d held, %d parked", held, parked)
	}
}

// TestManyFactsAtOnceAreAllRecorded has both services tell of the same orders
// at the same time, as they do behind a backlog.
func TestManyFactsAtOnceAreAllRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t))
	var orders []uuid.UUID
	for range 10 {
		orders = append(orders, w.place(t))
	}
	var group sync.WaitGroup
	for _, told := range []func(*testing.T, uuid.UUID) eventbus.Event{packed, dispatched} {
		var batch []eventbus.Event
		for _, id := range orders {
			batch = append(batch, told(t, id))
		}
		group.Go(func() {
			if err := w.hand(t, batch...); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, id := range orders {
		if o, revision := w.order(t, id); revision != 2 || o.PackedAt.IsZero() || o.Status != domain.StatusDispatched {
			t.Errorf("%s at revision %d: %+v", id, revision, o)
		}
	}
}
