package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// book is what was committed, on disk: what the log says of each subject, and
// which events it has. It belongs to one goroutine.
type book struct {
	db   sqldb.DB
	path string
	// orders, customers and products are how many subjects there are.
	orders, customers, products int
	// shown and told are what is to be written down, up to atATime of each: what
	// every page of a service is written for would wait for the disk too often.
	shown []about
	told  []string
}

const (
	// atATime bounds what is gathered before it is written.
	atATime = 2000
	// perStatement bounds the rows of one statement: SQLite looks for the name of
	// each placeholder among all of them.
	perStatement = 50
)

// tables are the statements that make them.
func tables() []string {
	return []string{
		`CREATE TABLE truth (kind TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (kind, subject)) WITHOUT ROWID`,
		// What has to be announced, and how often it was.
		`CREATE TABLE owed (id TEXT PRIMARY KEY, publisher TEXT NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL,
		sequence INTEGER NOT NULL, at INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID`,
		// What the catalog has announced of each product.
		`CREATE TABLE said (subject TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (subject, sequence)) WITHOUT ROWID`,
		// What one service has shown so far.
		`CREATE TABLE shown (kind TEXT NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (kind, subject)) WITHOUT ROWID`,
	}
}

// open makes an empty book in a temporary folder, which close removes.
func open(ctx context.Context) (*book, error) {
	path, err := os.MkdirTemp("", "orderflow-verify-")
	if err != nil {
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	b := &book{path: path}
	if b.db, err = sqldb.Open(ctx, "sqlite://"+filepath.Join(path, "book.db")); err != nil {
		return nil, errors.Join(fmt.Errorf("temporary database: %w", err), os.RemoveAll(path))
	}
	err = b.write(ctx, func(tx sqldb.Tx) error {
		for _, table := range tables() {
			if _, err := tx.Exec(ctx, table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *book) close() error {
	b.db.Close()
	return os.RemoveAll(b.path)
}

func (b *book) write(ctx context.Context, fn func(tx sqldb.Tx) error) error {
	if err := b.db.Update(ctx, fn); err != nil {
		return fmt.Errorf("temporary database: %w", err)
	}
	return nil
}

// subjectOf is what an event is about; the process of an order is about the order.
func subjectOf(r es.Recorded) (kind, subject string) {
	subject = r.AggregateID().String()
	switch strings.TrimSuffix(r.Stream, "-"+subject) {
	case "order", "fulfilment":
		return service.LedgerOrder, subject
	case "customer":
		return service.LedgerCustomer, subject
	default:
		return "", subject
	}
}

// add takes in a batch of the log. It returns what could not be read.
func (b *book) add(ctx context.Context, events []es.Recorded) (unreadable []Difference, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	wanted := map[string][]string{}
	for _, r := range events {
		if kind, subject := subjectOf(r); kind != "" {
			wanted[kind] = append(wanted[kind], subject)
		}
	}
	known := map[string]map[string]truth{}
	for kind, subjects := range wanted {
		if known[kind], err = b.truths(ctx, kind, subjects); err != nil {
			return nil, err
		}
	}
	var changed []truth
	var announcements []owed
	for _, r := range events {
		kind, subject := subjectOf(r)
		if kind == "" {
			continue
		}
		now, failed := known[kind][subject].after(r)
		if failed != nil {
			unreadable = append(unreadable, Difference{Service: kind, Problem: Unreadable, Kind: kind, Subject: subject, Field: failed.Error()})
		}
		known[kind][subject] = now
		announcements = append(announcements, owedFor(r, now.Rejected)...)
	}
	for _, subjects := range known {
		for _, t := range subjects {
			changed = append(changed, t)
		}
	}
	err = b.write(ctx, func(tx sqldb.Tx) error {
		for some := range slices.Chunk(announcements, perStatement) {
			if err := owe(ctx, tx, some); err != nil {
				return err
			}
		}
		return save(ctx, tx, changed)
	})
	return unreadable, err
}

// sourceOf is the kind of subject that the truth about a row of a kind is kept of.
func sourceOf(kind string) string {
	switch kind {
	case service.LedgerDeadline, service.LedgerMail:
		return service.LedgerOrder
	default:
		return kind
	}
}

// truths returns what is known of subjects, each at most once; of those that
// nothing is known of, the beginning.
func (b *book) truths(ctx context.Context, kind string, subjects []string) (map[string]truth, error) {
	found := make(map[string]truth, len(subjects))
	for some := range slices.Chunk(subjects, 2*perStatement) {
		args := []any{sourceOf(kind)}
		for _, subject := range some {
			if _, ok := found[subject]; !ok {
				found[subject] = unseen(kind, subject)
				args = append(args, subject)
			}
		}
		if len(args) == 1 {
			continue
		}
		rows, err := b.db.Query(ctx, `SELECT kind, subject, state FROM truth WHERE kind = $1 AND subject IN `+sqldb.List(2, len(args)-1), args...)
		if err != nil {
			return nil, fmt.Errorf("temporary database: %w", err)
		}
		known, err := sqldb.Collect(rows, scanTruth)
		if err != nil {
			return nil, fmt.Errorf("temporary database: %w", err)
		}
		for _, t := range known {
			t.Kind = kind
			found[t.Subject] = t
		}
	}
	return found, nil
}

func scanTruth(row sqldb.Row) (t truth, err error) {
	var kind, subject, state string
	if err = row.Scan(&kind, &subject, &state); err == nil {
		err = json.Unmarshal([]byte(state), &t)
	}
	t.Kind, t.Subject = kind, subject
	return t, err
}

// save writes what is known over what was.
func save(ctx context.Context, tx sqldb.Tx, truths []truth) error {
	for some := range slices.Chunk(truths, perStatement) {
		args := make([]any, 0, len(some)*3)
		for _, t := range some {
			state, err := json.Marshal(t)
			if err != nil {
				return err
			}
			args = append(args, t.Kind, t.Subject, string(state))
		}
		_, err := tx.Exec(ctx, `INSERT INTO truth (kind, subject, state) VALUES `+sqldb.Values(len(some), 3)+`
			ON CONFLICT (kind, subject) DO UPDATE SET state = excluded.state`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// each hands everything that is known of a kind to fn, by subject.
func (b *book) each(ctx context.Context, kind string, fn func([]truth) error) error {
	return b.pages(ctx, `SELECT kind, subject, state FROM truth WHERE kind = $2 AND subject > $1 ORDER BY subject LIMIT 500`, kind, fn, sourceOf(kind))
}

// forget begins with a service that has shown nothing yet.
func (b *book) forget(ctx context.Context) error {
	b.shown = b.shown[:0]
	return b.write(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM shown`)
		return err
	})
}

// show takes down which subjects have a row.
func (b *book) show(ctx context.Context, rows []service.LedgerRow) error {
	for _, row := range rows {
		b.shown = append(b.shown, about{row.Kind, row.Subject})
	}
	if len(b.shown) < atATime {
		return nil
	}
	return b.writeShown(ctx)
}

func (b *book) writeShown(ctx context.Context) error {
	err := b.write(ctx, func(tx sqldb.Tx) error {
		for some := range slices.Chunk(b.shown, perStatement) {
			args := make([]any, 0, len(some)*2)
			for _, row := range some {
				args = append(args, row.kind, row.subject)
			}
			_, err := tx.Exec(ctx, `INSERT INTO shown (kind, subject) VALUES `+sqldb.Values(len(some), 2)+` ON CONFLICT DO NOTHING`, args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	b.shown = b.shown[:0]
	return err
}

// notShown hands to fn what has no row.
func (b *book) notShown(ctx context.Context, kind string, fn func([]truth) error) error {
	if err := b.writeShown(ctx); err != nil {
		return err
	}
	return b.pages(ctx, `SELECT kind, subject, state FROM truth WHERE kind = $2 AND subject > $1
		AND NOT EXISTS (SELECT 1 FROM shown WHERE shown.kind = $3 AND shown.subject = truth.subject)
		ORDER BY subject LIMIT 500`, kind, fn, sourceOf(kind), kind)
}

// pages hands what a query finds to fn, as truths about a kind. $1 is the subject
// of the last one before.
func (b *book) pages(ctx context.Context, query, kind string, fn func([]truth) error, args ...any) error {
	for after := ""; ; {
		rows, err := b.db.Query(ctx, query, append([]any{after}, args...)...)
		if err != nil {
			return fmt.Errorf("temporary database: %w", err)
		}
		page, err := sqldb.Collect(rows, scanTruth)
		if err != nil {
			return fmt.Errorf("temporary database: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		for i := range page {
			page[i].Kind = kind
		}
		if err := fn(page); err != nil {
			return err
		}
		after = page[len(page)-1].Subject
	}
}

// count counts the subjects.
func (b *book) count(ctx context.Context) error {
	for kind, into := range map[string]*int{
		service.LedgerOrder: &b.orders, service.LedgerCustomer: &b.customers, service.LedgerProduct: &b.products,
	} {
		if err := b.db.QueryRow(ctx, `SELECT count(*) FROM truth WHERE kind = $1`, kind).Scan(into); err != nil {
			return fmt.Errorf("temporary database: %w", err)
		}
	}
	return nil
}
