package mailer

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/crm/internal/smtptest"
	"orderflow/services/crm/internal/story"
)

const zoe = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"

// quick tries again almost at once.
var quick = Options{BaseDelay: time.Microsecond, MaxDelay: time.Millisecond, Poll: 2 * time.Millisecond}

// post is a sender with a store, and the events that queue mails.
type post struct {
	db     sqldb.DB
	in     *inbox.Inbox
	sender *Sender
	count  int64
}

func newPost(t *testing.T, db sqldb.DB, url string, options Options) *post {
	t.Helper()
	files, err := fs.Sub(story.Migrations(), "migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, migrate := range []func() error{
		func() error { return inbox.Migrate(t.Context(), db) },
		func() error { return sqldb.MigrateLease(t.Context(), db) },
		func() error { return sqldb.Migrate(t.Context(), db, "crm", files) },
	} {
		if err := migrate(); err != nil {
			t.Fatal(err)
		}
	}
	server, err := Load(service.Host{Environ: map[string]string{"SMTP_URL": url}})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	store := story.New(db, true)
	p := &post{db: db, in: inbox.New(db, "crm", quiet, inbox.Options{}), sender: New(db, store, server, quiet, options)}
	store.Listen(p.in)
	p.customer(t, "zoe@example.org")
	return p
}

// run keeps the sender going, as a service does, until the test ends or stop is
// called.
func (p *post) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for ctx.Err() == nil {
			_ = p.sender.Run(ctx) // what it says is shown by Ready
		}
	})
	stop = func() {
		cancel()
		ended.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func (p *post) deliver(t *testing.T, typ, subject string, data map[string]any) {
	t.Helper()
	p.count++
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	e := eventbus.Event{
		ID: fmt.Sprint(typ, subject, p.count), Source: "/orderflow/test", Type: typ, Subject: subject, Sequence: p.count,
		Time: time.Date(2025, 5, 1, 12, 0, 0, 0, time.UTC), Data: text,
	}
	if err := p.in.Handle(t.Context(), []eventbus.Delivery{{Event: e}}); err != nil {
		t.Fatal(err)
	}
}

func (p *post) customer(t *testing.T, email string) {
	t.Helper()
	p.deliver(t, "customer.events.created.v1", zoe, map[string]any{"name": "Zoë Müller", "email": email, "address": map[string]any{}})
}

func order(i int) string { return fmt.Sprintf("01928f40-0000-7000-8000-%012d", i) }

// queue queues the confirmation of the i-th order.
func (p *post) queue(t *testing.T, i int) {
	t.Helper()
	p.deliver(t, "order.events.placed.v1", order(i), map[string]any{
		"customerId": zoe, "total": map[string]any{"amount": 900, "currency": "EUR"},
		"lines": []any{map[string]any{"name": "Green tea", "quantity": 2, "unitPrice": map[string]any{"amount": 450, "currency": "EUR"}}},
	})
}

func (p *post) dispatch(t *testing.T, i int) {
	t.Helper()
	p.deliver(t, "dispatch.events.dispatched.v1", order(i), map[string]any{"customerId": zoe, "carrier": "DHL", "trackingNumber": "JD0146"})
}

func (p *post) cancel(t *testing.T, i int) {
	t.Helper()
	p.deliver(t, "order.events.cancelled.v1", order(i), map[string]any{"customerId": zoe, "reason": "changed my mind", "by": "customer"})
}

// await waits until so many mails have a status.
func (p *post) await(t *testing.T, status string, n int) {
	t.Helper()
	sqldbtest.Eventually(t, fmt.Sprint(n, " mails ", status), func() bool {
		return sqldbtest.Count(t, p.db, `SELECT count(*) FROM mail WHERE status = $1`, status) == n
	})
}

// last returns the attempts at the i-th order's mail, and why the last failed.
func (p *post) last(t *testing.T, i int) (attempts int, reason string) {
	t.Helper()
	err := p.db.QueryRow(t.Context(), `SELECT attempts, reason FROM mail WHERE order_id = $1`, order(i)).Scan(&attempts, &reason)
	if err != nil {
		t.Fatal(err)
	}
	return attempts, reason
}

func (p *post) attempts(t *testing.T) int {
	t.Helper()
	return sqldbtest.Count(t, p.db, `SELECT CAST(sum(attempts) AS BIGINT) FROM mail`)
}

// times answers so at a step the first n times.
func times(n int, at smtptest.Step, reply string) smtptest.Answer {
	var mu sync.Mutex
	return func(step smtptest.Step, _ string) string {
		mu.Lock()
		defer mu.Unlock()
		if step != at || n == 0 {
			return ""
		}
		n--
		return reply
	}
}
