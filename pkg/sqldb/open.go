package sqldb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// pingTimeout bounds the question "are you there?" at start-up.
const pingTimeout = 5 * time.Second

// Open connects to the database at rawURL and makes sure that it answers, for
// five seconds at most. rawURL is one of
//
//	postgres://user:secret@host:5432/database?sslmode=disable
//	sqlite://relative/or/path.db
//	sqlite:///absolute/path.db
//
// A PostgreSQL URL takes the parameters that pgx knows, pool_max_conns among
// them, and answer_within (a duration such as 90s; 1m without it): a statement
// that takes longer, together with those that were queued before it, is cancelled,
// and a server that does not even answer to that is held to be gone, and the
// connection with it.
// A session that idles in a transaction is ended by the server after 10 min,
// unless the URL has an idle_in_transaction_session_timeout.
//
// The error is one line that says what is wrong, without the secret. A SQLite
// file is created when it is not there, its directory is not.
//
// A service that must start although its database comes later uses [Connect].
func Open(ctx context.Context, rawURL string) (DB, error) {
	db, err := Connect(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := db.Ping(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// Connect is [Open] without the question whether the database answers: it fails
// only for a URL that can never work. Until the database is there every call
// on the DB fails, and [DB.Ping] says why, which is what a readiness check
// reports; from then on it works, and recovers by itself from every later
// outage. [Wait] blocks until the first answer.
func Connect(rawURL string) (DB, error) {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return nil, fmt.Errorf("database url %q: want postgres://... or sqlite://PATH", Redact(rawURL))
	}
	switch scheme {
	case "postgres", "postgresql":
		return connectPostgres(rawURL)
	case "sqlite":
		return connectSQLite(rest)
	default:
		return nil, fmt.Errorf("database url %q: unknown scheme %q, want postgres://... or sqlite://PATH", Redact(rawURL), scheme)
	}
}

// Wait pings db, with growing pauses of at most two seconds, until it answers.
// Each distinct reason for waiting goes once to report, which may be nil.
// It returns an error only when ctx ends first, with the last reason in it.
func Wait(ctx context.Context, db DB, report func(error)) error {
	pause, last := 50*time.Millisecond, ""
	for {
		pingCtx, cancel := context.WithTimeout(ctx, pingTimeout)
		err := db.Ping(pingCtx)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if report != nil && err.Error() != last {
			last = err.Error()
			report(err)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// Redact returns a database URL without its password, fit for a log.
func Redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		// What cannot be parsed may hold a secret anywhere: keep the scheme only.
		scheme, _, _ := strings.Cut(rawURL, "://")
		return scheme + "://..."
	}
	query := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if query.Has(name) {
			query.Set(name, "xxxxx")
			u.RawQuery = query.Encode()
		}
	}
	return u.Redacted()
}

// sleep waits for d, or returns the error of ctx when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// oneLine folds the lines of a driver's error into one.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
