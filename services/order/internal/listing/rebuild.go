package listing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"orderflow/pkg/es"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
)

// Model is the list as package rebuild makes it anew: by reading the log from
// its beginning, into tables beside the live ones. migrate makes these tables.
func Model(store *es.Store, log *slog.Logger, migrate func(context.Context, sqldb.DB) error) rebuild.Model {
	return rebuild.Model{
		Name:    "order",
		Migrate: migrate,
		Tables: []rebuild.Table{
			{Name: "order_list", Key: "order_id", Except: []string{"written_at"}},
			{Name: "order_list_checkpoint"},
		},
		Feed: func(db sqldb.DB) rebuild.Feed { return &feed{list: New(db, store, log), store: store} },
	}
}

// feed fills a new list.
type feed struct {
	list  *Listing
	store *es.Store
}

// Run reads the log. It misses nothing from the moment it begins.
func (f *feed) Run(ctx context.Context, filling func()) error {
	filling()
	return f.list.Run(ctx)
}

// Mark marks nothing: Covers says it all.
func (f *feed) Mark(context.Context) (left func(context.Context) (string, error), err error) {
	return func(context.Context) (string, error) { return "", nil }, nil
}

// Covers compares how far the two lists have read.
func (f *feed) Covers(ctx context.Context, live sqldb.Querier, _ int64) (lacks string, err error) {
	has, err := checkpoint(ctx, live)
	if err != nil {
		return "", err
	}
	at, err := checkpoint(ctx, f.list.db)
	if err == nil && at < has {
		lacks = fmt.Sprintf("the log is read up to %d of %d", at, has)
	}
	return lacks, err
}

var errRead = errors.New("read as far as is needed")

// InFlight returns the orders with events that one list has read and the other
// has not.
func (f *feed) InFlight(ctx context.Context, live, beside sqldb.Querier, _ []string, _ int64) (map[string]bool, error) {
	one, err := checkpoint(ctx, live)
	if err != nil {
		return nil, err
	}
	other, err := checkpoint(ctx, beside)
	if err != nil || one == other {
		return nil, err
	}
	orders, to := map[string]bool{}, max(one, other)
	err = f.store.Follow(ctx, min(one, other), prefixes(), func(_ context.Context, batch es.Batch) error {
		for _, recorded := range batch.Events {
			orders[recorded.AggregateID().String()] = true
		}
		if batch.Position >= to {
			return errRead
		}
		return nil
	})
	if !errors.Is(err, errRead) {
		return nil, fmt.Errorf("orders between %d and %d: %w", min(one, other), to, err)
	}
	return orders, nil
}

// Refused has nothing to tell: an event that cannot be read keeps its row where
// it is, in both lists.
func (f *feed) Refused(context.Context, int) ([]rebuild.Difference, error) { return nil, nil }

// Remove has nothing to do: the log stays.
func (f *feed) Remove(context.Context) error { return nil }
