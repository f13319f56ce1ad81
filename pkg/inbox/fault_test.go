package inbox_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/faultproxy"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// line is the connection to a PostgreSQL that a test can break.
type line struct {
	mu    sync.Mutex
	proxy *faultproxy.Proxy
}

func (l *line) suffer(fault func(*faultproxy.Proxy)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fault(l.proxy)
}

func (l *line) heal() { l.suffer((*faultproxy.Proxy).Heal) }

// onALine returns a consumer that gives a silent server up after a moment.
func onALine(t *testing.T, options inbox.Options) (*world, *line) {
	t.Helper()
	address, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	l := &line{proxy: faultproxy.Start(t, address.Host)}
	address.Host = l.proxy.Address()
	query := address.Query()
	query.Set("answer_within", "2s")
	query.Set("connect_timeout", "2")
	address.RawQuery = query.Encode()
	db, err := sqldb.Open(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return newWorld(t, db, options), l
}

// faults break the line while a handler runs: what the handler's transaction
// says next, its commit among it, meets them.
var faults = map[string]func(*faultproxy.Proxy){
	"all connections are cut":              (*faultproxy.Proxy).Cut,
	"the answer to a commit is lost":       func(p *faultproxy.Proxy) { p.CutAfter(faultproxy.ToClient, 1) },
	"a statement is cut in its middle":     func(p *faultproxy.Proxy) { p.CutAfter(faultproxy.ToServer, 9) },
	"what is sent is met with a reset":     func(p *faultproxy.Proxy) { p.Reset(faultproxy.ToServer) },
	"what is answered is met with a reset": func(p *faultproxy.Proxy) { p.Reset(faultproxy.ToClient) },
	"the server falls silent":              func(p *faultproxy.Proxy) { p.Lose(faultproxy.ToClient) },
	"the server hears nothing":             func(p *faultproxy.Proxy) { p.Lose(faultproxy.ToServer) },
	"everything is slow":                   func(p *faultproxy.Proxy) { p.Slow(20*time.Millisecond, 10*time.Millisecond) },
}

func TestABrokenLineToTheDatabaseLosesNothingAndDoublesNothing(t *testing.T) {
	for name, fault := range faults {
		for kind, typ := range map[string]string{"On": placed, "OnBatch": tagged, "Do": moved} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				w, l := onALine(t, inLanes(2))
				var events []eventbus.Event
				for i := range 40 {
					subject := fmt.Sprint("s", i%4)
					events = append(events, event(typ, subject, fmt.Sprintf("%s-%02d", subject, i)))
				}
				once := func(id string) {
					w.when(id, func() error {
						w.when(id, nil)
						l.suffer(fault)
						return nil
					})
				}
				once(events[0].ID)
				once(events[17].ID)
				// One that is held, and meets the fault at its second attempt.
				held := events[25].ID
				w.when(held, func() error {
					once(held)
					return errHandler
				})
				w.run(t)
				for some := range slices.Chunk(events, 10) {
					sqldbtest.Eventually(t, "the batch was taken", func() bool {
						err := w.in.Handle(t.Context(), batch(some...))
						l.heal()
						return err == nil
					})
				}
				waitForNothingHeld(t, w, l)
				w.handle(t, events...) // everything once more: all is known
				account(t, w, events)
			})
		}
	}
}

func waitForNothingHeld(t *testing.T, w *world, l *line) {
	t.Helper()
	sqldbtest.Eventually(t, "nothing was held any more", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		held, parked, err := w.in.Backlog(ctx)
		if err != nil {
			l.heal()
		}
		return err == nil && held+parked == 0
	})
	l.heal()
}

// account shows that each event had its effect once, in the order of its subject.
func account(t *testing.T, w *world, events []eventbus.Event) {
	t.Helper()
	want := map[string][]string{}
	for _, e := range events {
		want[e.Subject] = append(want[e.Subject], e.ID)
	}
	for subject, ids := range want {
		if diff := cmp.Diff(ids, w.effects(t, subject)); diff != "" {
			t.Errorf("effects of %s: %s", subject, diff)
		}
	}
	if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM inbox`); n != len(events) {
		t.Errorf("%d events are noted, want %d", n, len(events))
	}
	if got := w.in.Stats(); got.Parked != 0 {
		t.Errorf("parked although no event was at fault: %+v", got)
	}
}

// TestAConsumerIsNotReadyWhileItsDatabaseIsSilent has a server that takes
// connections and says nothing, which without a limit is waited for for ever.
func TestAConsumerIsNotReadyWhileItsDatabaseIsSilent(t *testing.T) {
	w, l := onALine(t, quick)
	w.run(t)
	l.suffer(func(p *faultproxy.Proxy) { p.Lose(faultproxy.ToClient) })
	if err := w.in.Handle(t.Context(), batch(event(placed, "a", "x"))); !sqldb.IsUnavailable(err) {
		t.Errorf("got %v, want one that says the database is away", err)
	}
	if w.in.Ready() == nil {
		t.Error("it says that it is ready")
	}
	l.heal()
	sqldbtest.Eventually(t, "it was handled", func() bool { return w.in.Handle(t.Context(), batch(event(placed, "a", "x"))) == nil })
	sqldbtest.Eventually(t, "it was ready again", func() bool { return w.in.Ready() == nil })
	account(t, w, []eventbus.Event{event(placed, "a", "x")})
}
