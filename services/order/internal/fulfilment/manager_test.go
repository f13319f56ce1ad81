package fulfilment_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/fulfilment"
	"orderflow/services/order/internal/stored"
)

func TestTheProcessFollowsItsOrderToItsEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.run(t)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		w.do(t, id, pack)
		w.waits(t, id, "dispatch-overdue 3h30m0s")
		w.do(t, id, dispatch)
		w.is(t, id, fulfilment.StateDispatched)
		w.waits(t, id, "")
		w.clock.advance(1000 * time.Hour)
		w.settles(t)
		want := []string{"fulfilment-begun", "fulfilment-packed", "fulfilment-completed"}
		if diff := cmp.Diff(want, w.steps(t, "fulfilment", id)); diff != "" {
			t.Error(diff)
		}
	})
}

// settles waits until deadlines that have passed were dealt with: one of another
// order, which passes at the same time, is.
func (w *world) settles(t *testing.T) {
	t.Helper()
	other := w.place(t)
	w.is(t, other, fulfilment.StatePackingLate)
}

// A manager that is killed anywhere finds its own work when it is back: here it
// has done everything but move its checkpoint, and then reads all again.
func TestWhatWasDoneBeforeAKillIsNotDoneAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		placed, packed, back := w.place(t), w.place(t), w.place(t)
		w.do(t, packed, pack)
		w.do(t, back, pack)
		w.do(t, back, cancel)
		ids := []uuid.UUID{placed, packed, back}
		var log es.Batch
		for _, id := range ids {
			events, err := w.store.ReadStream(t.Context(), es.StreamName("order", id), 0)
			if err != nil {
				t.Fatal(err)
			}
			log.Events = append(log.Events, events...)
			log.Position = events[len(events)-1].Position
		}
		manager := fulfilment.New(w.config)
		w.asLeader(t, func(ctx context.Context, epoch int64) {
			if err := manager.Take(ctx, epoch-1, log); !errors.Is(err, sqldb.ErrFenced) {
				t.Errorf("one whose turn is over: %v", err)
			}
		})
		if n := sqldbtest.Count(t, w.db, `SELECT (SELECT count(*) FROM fulfilment_checkpoint) + (SELECT count(*) FROM fulfilment_deadline)`); n != 0 {
			t.Errorf("one whose turn was over wrote %d rows", n)
		}
		before := map[uuid.UUID][]string{}
		for _, id := range ids {
			before[id] = w.steps(t, "fulfilment", id)
		}
		if want := []string{"fulfilment-begun", "fulfilment-packed", "fulfilment-return-requested"}; !cmp.Equal(before[back], want) {
			t.Fatalf("it did %v", before[back])
		}
		w.run(t)
		w.waits(t, placed, "pack-overdue 1h0m0s")
		w.waits(t, packed, "dispatch-overdue 3h30m0s")
		w.waits(t, back, "")
		for _, id := range ids {
			if diff := cmp.Diff(before[id], w.steps(t, "fulfilment", id)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// A manager that begins anew hears the beginning of a story of which the event
// store holds more. What packing says then must not be ignored because it would
// have meant nothing back then.
func TestWhatIsKnownFromBeforeIgnoresNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.place(t)
		w.do(t, id, pack)
		w.do(t, id, cancel)
		log, err := w.store.ReadStream(t.Context(), es.StreamName("order", id), 0)
		if err != nil {
			t.Fatal(err)
		}
		fresh := fulfilment.New(w.config)
		w.asLeader(t, func(ctx context.Context, epoch int64) {
			whole, beginning := es.Batch{Events: log, Position: log[2].Position}, es.Batch{Events: log[:1], Position: log[0].Position}
			if err := errors.Join(fulfilment.New(w.config).Take(ctx, epoch, whole), fresh.Take(ctx, epoch, beginning)); err != nil {
				t.Error(err)
			}
		})
		if err := inbox.Migrate(t.Context(), w.db); err != nil {
			t.Fatal(err)
		}
		in := inbox.New(w.db, "order", slog.New(slog.DiscardHandler), inbox.Options{})
		fresh.Register(in)
		for _, e := range contractstest.Samples(t, fulfilment.ReturnedV1) {
			e.Subject, e.Data = id.String(), []byte(`{"orderId":"`+id.String()+`","occurredAt":"2026-03-14T13:00:00Z"}`)
			if err := in.Handle(t.Context(), []eventbus.Delivery{{Event: e}}); err != nil {
				t.Fatal(err)
			}
		}
		w.is(t, id, fulfilment.StateReturned)
	})
}

func TestEverySampleOfWhatIsReadIsUnderstood(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	if err := inbox.Migrate(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	in := inbox.New(w.db, "order", slog.New(slog.DiscardHandler), inbox.Options{})
	fulfilment.New(w.config).Register(in)
	samples := contractstest.Samples(t, fulfilment.ReturnedV1)
	for _, e := range samples {
		nobody, never := e, e
		nobody.ID, nobody.Data = e.ID+"/nobody", []byte(`{"orderId":"seven","occurredAt":"2026-03-14T13:00:00Z"}`)
		never.ID, never.Data = e.ID+"/never", []byte(`{"orderId":"`+e.Subject+`"}`)
		if err := in.Handle(t.Context(), []eventbus.Delivery{{Event: e}, {Event: nobody}, {Event: never}}); err != nil {
			t.Fatal(err)
		}
	}
	if held, parked, err := in.Backlog(t.Context()); err != nil || held != 0 || parked != 2*len(samples) {
		t.Errorf("%d held, %d parked, %v", held, parked, err)
	}
}

// asLeader runs fn as the active manager would.
func (w *world) asLeader(t *testing.T, fn func(ctx context.Context, epoch int64)) {
	t.Helper()
	err := sqldb.NewLease(w.db, "fulfilment", "test", time.Hour).Run(t.Context(), func(ctx context.Context, epoch int64) error {
		fn(ctx, epoch)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTablesThatAreLostAreBuiltAnewFromTheLog(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stop := w.run(t)
		waiting, late, gone := w.place(t), w.place(t), w.place(t)
		w.do(t, waiting, pack)
		w.do(t, gone, dispatch)
		w.waits(t, waiting, "dispatch-overdue 3h30m0s")
		w.is(t, gone, fulfilment.StateDispatched)
		w.clock.advance(61 * time.Minute)
		w.waits(t, late, "pack-expired 2h1m0s")
		stop()
		var before [3][]string
		for i, id := range []uuid.UUID{waiting, late, gone} {
			before[i] = w.steps(t, "fulfilment", id)
		}
		sqldbtest.Exec(t, w.db, `DELETE FROM fulfilment_checkpoint`)
		sqldbtest.Exec(t, w.db, `DELETE FROM fulfilment_deadline`)
		w.run(t)
		w.waits(t, waiting, "dispatch-overdue 3h30m0s")
		w.waits(t, late, "pack-expired 2h1m0s")
		w.waits(t, gone, "")
		for i, id := range []uuid.UUID{waiting, late, gone} {
			if diff := cmp.Diff(before[i], w.steps(t, "fulfilment", id)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestAnOrderThatCannotBeReadIsPutAsideAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.run(t)
		manager := fulfilment.New(w.config)
		strange := w.place(t)
		w.waits(t, strange, "pack-overdue 1h0m0s")
		w.scribble(t, strange)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		sqldbtest.Eventually(t, "one is aside", func() bool {
			n, err := manager.Aside(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n == 1
		})
		items, err := manager.Trace(t.Context(), strange.String())
		if err != nil || len(items) != 2 || items[1].Kind != "held" || !strings.Contains(items[1].Detail, "version 99") {
			t.Errorf("the trace says %+v, %v", items, err)
		}
		// Nobody knows what became of it, so nobody is told that it is late.
		w.clock.advance(61 * time.Minute)
		w.is(t, id, fulfilment.StatePackingLate)
		sqldbtest.Eventually(t, "it is tried again", func() bool {
			return sqldbtest.Count(t, w.db, `SELECT count(*) FROM fulfilment_aside WHERE attempts > 1`) == 1
		})
		if diff := cmp.Diff([]string{"fulfilment-begun"}, w.steps(t, "fulfilment", strange)); diff != "" {
			t.Error(diff)
		}
		if n := strings.Count(w.log.String(), strange.String()+" "); n != 1 {
			t.Errorf("told %d times:\n%s", n, w.log)
		}
	})
}

// A newer release has stepped into a state that this program's table does not
// have. What the order's stream says next must not pass as something that
// changes nothing: the program that knows the state has to hear it.
func TestAProcessOfANewerReleaseIsPutAside(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for what, newer := range map[string]string{
			"a state":    `{"state":"weighing","at":"2026-03-14T12:30:00Z"}`,
			"a deadline": `{"state":"packing-late","missed":{"kind":"weigh-expired","dueAt":"2026-03-14T12:30:00Z"},"at":"2026-03-14T12:30:00Z"}`,
		} {
			t.Run(what, func(t *testing.T) {
				stop := w.run(t)
				id := w.place(t)
				w.waits(t, id, "pack-overdue 1h0m0s")
				stop()
				typ := "fulfilment-packed"
				if what == "a deadline" {
					typ = "fulfilment-expired"
				}
				w.server.Append(t, es.StreamName("fulfilment", id), esdb.EventData{
					EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: []byte(newer), Metadata: []byte(`{"version":1}`),
				})
				if what == "a state" {
					w.do(t, id, cancel)
				}
				stop = w.run(t)
				defer stop()
				other := w.place(t)
				w.waits(t, other, "pack-overdue 1h0m0s")
				manager := fulfilment.New(w.config)
				items, err := manager.Trace(t.Context(), id.String())
				if err != nil || len(items) == 0 || items[len(items)-1].Kind != "held" || !strings.Contains(items[len(items)-1].Detail, "weigh") {
					t.Errorf("the trace says %+v, %v", items, err)
				}
				if steps := w.steps(t, "order", id); what == "a deadline" && len(steps) != 1 {
					t.Errorf("the order was told to do something that nobody here knows: %v", steps)
				}
			})
		}
	})
}

// What is put aside for a while goes on when it can.
func TestAnOrderThatWasPutAsideGoesOn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := w.place(t)
		w.do(t, id, pack)
		sqldbtest.Exec(t, w.db, `INSERT INTO fulfilment_aside (order_id, position, reason, attempts, since, try_at) VALUES ('`+
			id.String()+`', 1, 'some time ago', 3, 0, 0)`)
		end, err := w.store.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.db.Update(t.Context(), func(tx sqldb.Tx) error {
			tx.Queue(`INSERT INTO fulfilment_checkpoint (name, position) VALUES ('fulfilment', $1)`, int64(end))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		w.run(t)
		w.waits(t, id, "dispatch-overdue 3h30m0s")
		sqldbtest.Eventually(t, "nothing is aside", func() bool {
			return sqldbtest.Count(t, w.db, `SELECT count(*) FROM fulfilment_aside`) == 0
		})
	})
}

func TestTheManagerGoesOnAfterOutages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sqldbtest.SQLite(t), esdbservertest.InDir(t.TempDir()))
	db := &sqldbtest.Cuttable{DB: w.db}
	w.config.DB = db
	w.run(t)
	id := w.place(t)
	w.waits(t, id, "pack-overdue 1h0m0s")
	w.server.Stop()
	w.server.Start()
	w.do(t, id, pack)
	w.waits(t, id, "dispatch-overdue 3h30m0s")
	db.Cut(true)
	w.do(t, id, cancel)
	sqldbtest.Eventually(t, "a write was refused", func() bool { return db.Refused() > 0 })
	db.Cut(false)
	w.waits(t, id, "")
	db.LoseCommits(1)
	w.do(t, id, dispatch)
	w.is(t, id, fulfilment.StateDispatched)
	want := []string{"fulfilment-begun", "fulfilment-packed", "fulfilment-return-requested", "fulfilment-completed"}
	if diff := cmp.Diff(want, w.steps(t, "fulfilment", id)); diff != "" {
		t.Error(diff)
	}
}

// TestTheProcessIsWhatItsOrderSays draws what happens to a few orders, with the
// manager stopped, started, or made to read everything again in between, and
// compares each process with what the table makes of its order's stream.
func TestTheProcessIsWhatItsOrderSays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		decisions := map[string]func(domain.Order) ([]domain.Event, error){"pack": pack, "cancel": cancel, "dispatch": dispatch, "reject": reject}
		commands := []string{"pack", "cancel", "dispatch", "reject", "pack", "cancel", "dispatch", "reject", "stop", "begin anew"}
		rapid.Check(t, func(r *rapid.T) {
			stop := w.run(t)
			defer func() { stop() }()
			ids := []uuid.UUID{w.place(t), w.place(t)}
			for range rapid.IntRange(0, 6).Draw(r, "steps") {
				what := rapid.SampledFrom(commands).Draw(r, "what")
				if decide, ok := decisions[what]; ok {
					w.do(t, rapid.SampledFrom(ids).Draw(r, "order"), func(o domain.Order) ([]domain.Event, error) {
						events, err := decide(o)
						if err != nil {
							return nil, nil //nolint:nilerr // a customer who comes too late
						}
						return events, nil
					})
					continue
				}
				stop()
				if what == "begin anew" {
					sqldbtest.Exec(t, w.db, `DELETE FROM fulfilment_checkpoint`)
				}
				stop = w.run(t)
			}
			for _, id := range ids {
				events, err := w.store.ReadStream(t.Context(), es.StreamName("order", id), 0)
				if err != nil {
					r.Fatal(err)
				}
				var want fulfilment.Process
				for _, recorded := range events {
					meant, err := stored.Codec{}.Decode(t.Context(), recorded)
					if err != nil {
						r.Fatal(err)
					}
					for _, event := range meant {
						heard := fulfilment.HeardOf(event)
						if heard.Trigger == "" {
							continue
						}
						steps, err := rules.Decide(want, heard)
						if err != nil {
							r.Fatal(err)
						}
						for _, e := range steps {
							want = fulfilment.Apply(want, e)
						}
					}
				}
				w.is(t, id, want.State)
				got, _, err := fulfilment.New(w.config).Load(t.Context(), id)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					r.Errorf("%v: %s", err, diff)
				}
			}
		})
	})
}

func TestASecondManagerTakesOver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		stop := w.run(t)
		id := w.place(t)
		w.waits(t, id, "pack-overdue 1h0m0s")
		w.run(t)
		stop()
		w.do(t, id, pack)
		w.waits(t, id, "dispatch-overdue 3h30m0s")
	})
}
