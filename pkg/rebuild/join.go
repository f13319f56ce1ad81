package rebuild

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"orderflow/pkg/sqldb"
)

// Join makes one model of several that a service keeps, whatever fills each of
// them: they are compared together, and swapped in one transaction.
func Join(name string, models ...Model) Model {
	joined := Model{Name: name}
	for _, m := range models {
		joined.Tables = append(joined.Tables, m.Tables...)
	}
	joined.Migrate = func(ctx context.Context, db sqldb.DB) error {
		for _, m := range models {
			if err := m.Migrate(ctx, db); err != nil {
				return err
			}
		}
		return nil
	}
	joined.Derived = func(ctx context.Context, q sqldb.Querier) (wrong []Difference, err error) {
		for _, m := range models {
			if m.Derived == nil {
				continue
			}
			more, err := m.Derived(ctx, q)
			if err != nil {
				return nil, err
			}
			wrong = append(wrong, more...)
		}
		return wrong, nil
	}
	joined.Feed = func(db sqldb.DB) Feed {
		feeds := make(feeds, len(models))
		for i, m := range models {
			feeds[i] = m.Feed(db)
		}
		return feeds
	}
	joined.Swapped = func() {
		for _, m := range models {
			if m.Swapped != nil {
				m.Swapped()
			}
		}
	}
	return joined
}

// feeds fill tables of one place side by side.
type feeds []Feed

// Run runs all of them, and ends with the first one that does.
func (f feeds) Run(ctx context.Context, filling func()) error {
	all, ctx := errgroup.WithContext(ctx)
	var waiting atomic.Int64
	waiting.Store(int64(len(f)))
	for _, feed := range f {
		ready := sync.OnceFunc(func() {
			if waiting.Add(-1) == 0 {
				filling()
			}
		})
		all.Go(func() error { return feed.Run(ctx, ready) })
	}
	return all.Wait()
}

func (f feeds) Mark(ctx context.Context) (left func(context.Context) (string, error), err error) {
	marks := make([]func(context.Context) (string, error), len(f))
	for i, feed := range f {
		if marks[i], err = feed.Mark(ctx); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) (string, error) {
		for _, left := range marks {
			if lacks, err := left(ctx); err != nil || lacks != "" {
				return lacks, err
			}
		}
		return "", nil
	}, nil
}

func (f feeds) Covers(ctx context.Context, live sqldb.Querier, since int64) (string, error) {
	for _, feed := range f {
		if lacks, err := feed.Covers(ctx, live, since); err != nil || lacks != "" {
			return lacks, err
		}
	}
	return "", nil
}

func (f feeds) InFlight(ctx context.Context, live, beside sqldb.Querier, subjects []string, since int64) (map[string]bool, error) {
	inFlight := map[string]bool{}
	for _, feed := range f {
		more, err := feed.InFlight(ctx, live, beside, subjects, since)
		if err != nil {
			return nil, err
		}
		for subject, is := range more {
			inFlight[subject] = inFlight[subject] || is
		}
	}
	return inFlight, nil
}

func (f feeds) Refused(ctx context.Context, limit int) (refused []Difference, err error) {
	for _, feed := range f {
		more, err := feed.Refused(ctx, limit-len(refused))
		if err != nil {
			return nil, err
		}
		refused = append(refused, more...)
	}
	return refused, nil
}

func (f feeds) Remove(ctx context.Context) error {
	var failed []error
	for _, feed := range f {
		failed = append(failed, feed.Remove(ctx))
	}
	return errors.Join(failed...)
}
