package sqldb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// patience is how long a server may take to answer one statement, with those that
// were queued before it: their answers come together, so nobody can tell a slow
// one from the next. A connection whose other end vanished without a word, or
// stands still, would otherwise be waited for until the caller's context ends,
// which for a consumer is never.
//
// When it ends the server is asked to cancel what it does. One that works, or
// waits for a lock, says that it has done so: then the statement was too slow,
// and the connection goes on. One that says nothing is gone.
type patience time.Duration

// mostGrace is the longest time for the answer to a request to cancel.
const mostGrace = 5 * time.Second

// errPatience is why a context ended when patience did.
var errPatience = errors.New("patience ended")

// bounded is a context that ends when patience does.
type bounded struct {
	context.Context
	within patience
	end    context.CancelFunc
}

func (p patience) bound(ctx context.Context) *bounded {
	inner, cancel := context.WithTimeoutCause(ctx, time.Duration(p), errPatience)
	return &bounded{Context: inner, within: p, end: cancel}
}

// explain says that it was the server which took too long, when it was.
func (b *bounded) explain(err error) error {
	if err == nil || !errors.Is(context.Cause(b), errPatience) {
		return err
	}
	var pgErr *pgconn.PgError
	switch {
	case !errors.As(err, &pgErr):
		return unavailable{text: fmt.Sprintf("no answer within %s", time.Duration(b.within)), err: err}
	case pgErr.Code == queryCanceled:
		return tooSlow{within: time.Duration(b.within), err: err}
	default:
		return err // it said so at the last moment
	}
}

// tooSlow is the error of a statement that the server was asked to cancel.
type tooSlow struct {
	within time.Duration
	err    error
}

func (e tooSlow) Error() string   { return fmt.Sprintf("not done within %s: %v", e.within, e.err) }
func (e tooSlow) Unwrap() []error { return []error{e.err, context.DeadlineExceeded} }

// watcher acts when a context ends while its connection waits for the server:
// it asks to cancel if patience is what ended, and gives the connection up at
// once if the caller wants to go on.
type watcher struct {
	cancel, giveUp, acting ctxwatch.Handler
}

func (p patience) watch(conn *pgconn.PgConn) ctxwatch.Handler {
	return &watcher{
		cancel: &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: min(time.Duration(p), mostGrace)},
		giveUp: &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()},
	}
}

// HandleCancel implements [ctxwatch.Handler].
func (w *watcher) HandleCancel(ended context.Context) {
	w.acting = w.giveUp
	if errors.Is(context.Cause(ended), errPatience) {
		w.acting = w.cancel
	}
	w.acting.HandleCancel(ended)
}

// HandleUnwatchAfterCancel implements [ctxwatch.Handler].
func (w *watcher) HandleUnwatchAfterCancel() { w.acting.HandleUnwatchAfterCancel() }
