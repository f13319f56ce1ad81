package rebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"orderflow/pkg/sqldb"
)

// most bounds the differences that are kept; a model that is wrong everywhere
// need not be told row by row.
const most = 1000

// errEnough says that there are more differences than are kept.
var errEnough = errors.New("more differences than are kept")

// comparison is one look at both models.
type comparison struct {
	model    Model
	feed     Feed
	since    int64
	compared int64
	found    []Difference
}

// compare looks at everything, and then again at what was in flight, until it
// is clear or for patience.
func (c *comparison) compare(ctx context.Context, live, beside sqldb.DB, patience time.Duration) error {
	var err error
	if c.found, err = c.feed.Refused(ctx, most); err != nil {
		return err
	}
	for _, rows := range c.model.Compare {
		if err := c.table(ctx, live, beside, rows, patience); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return fmt.Errorf("compare %s: %w", rows.Table, err)
		}
	}
	return nil
}

func (c *comparison) table(ctx context.Context, live, beside sqldb.DB, rows Rows, patience time.Duration) error {
	until := time.Now().Add(patience)
	differing, count, err := c.look(ctx, live, beside, rows, nil)
	if err != nil {
		return err
	}
	c.compared += count
	for {
		wrong, open := split(differing)
		c.found = append(c.found, wrong...)
		if len(c.found) >= most {
			c.found = c.found[:most]
			return errEnough
		}
		if len(open) == 0 {
			return nil
		}
		if time.Now().After(until) {
			for _, d := range open {
				c.found = append(c.found, d.Difference)
			}
			return nil
		}
		if !pause(ctx, 100*time.Millisecond, nil) {
			return ctx.Err()
		}
		differing = nil
		for some := range slices.Chunk(open, 200) {
			keys := make([]string, len(some))
			for i, d := range some {
				keys[i] = d.Key
			}
			again, _, err := c.look(ctx, live, beside, rows, keys)
			if err != nil {
				return err
			}
			differing = append(differing, again...)
		}
	}
}

// candidate is a difference that may have an excuse.
type candidate struct {
	Difference
	inFlight bool
}

func split(all []candidate) (wrong []Difference, open []candidate) {
	for _, d := range all {
		if d.inFlight {
			open = append(open, d)
		} else {
			wrong = append(wrong, d.Difference)
		}
	}
	return wrong, open
}

// look compares the rows with the keys, or all, in one snapshot on either side,
// and tells which of those that differ have an event in flight.
func (c *comparison) look(ctx context.Context, live, beside sqldb.DB, rows Rows, keys []string) (differing []candidate, count int64, err error) {
	err = live.View(ctx, func(one sqldb.Tx) error {
		return beside.View(ctx, func(other sqldb.Tx) error {
			var err error
			if differing, count, err = merge(ctx, one, other, live.Dialect(), rows, keys); err != nil {
				return err
			}
			for some := range slices.Chunk(differing, 200) {
				subjects := make([]string, len(some))
				for i, d := range some {
					subjects[i] = d.Key
				}
				inFlight, err := c.feed.InFlight(ctx, one, other, subjects, c.since)
				if err != nil {
					return err
				}
				for i := range some {
					some[i].inFlight = inFlight[some[i].Key]
				}
			}
			return nil
		})
	})
	return differing, count, err
}

// merge walks through the rows of both models side by side.
func merge(ctx context.Context, live, beside sqldb.Querier, dialect sqldb.Dialect, rows Rows, keys []string) (differing []candidate, count int64, err error) {
	one, err := walk(ctx, live, dialect, rows, keys)
	if err != nil {
		return nil, 0, err
	}
	defer one.rows.Close()
	other, err := walk(ctx, beside, dialect, rows, keys)
	if err != nil {
		return nil, 0, err
	}
	defer other.rows.Close()
	differ := func(key, what string) {
		differing = append(differing, candidate{Difference: Difference{rows.Table, key, what}})
	}
	for one.next() && other.next() && (!one.over || !other.over) && len(differing) < 2*most {
		count++
		switch {
		case other.over || !one.over && one.key < other.key:
			differ(one.key, "is in the live model only")
			one.taken = true
		case one.over || other.key < one.key:
			differ(other.key, "is missing in the live model")
			other.taken = true
		default:
			if what := changed(rows, one.values, other.values); what != "" {
				differ(one.key, what)
			}
			one.taken, other.taken = true, true
		}
	}
	return differing, count, errors.Join(one.err, other.err)
}

func changed(rows Rows, live, should []string) string {
	var what []string
	for i, column := range rows.Columns {
		switch {
		case live[i] == should[i]:
		case slices.Contains(rows.Personal, column):
			what = append(what, column+" is not what it should be")
		default:
			what = append(what, fmt.Sprintf("%s is %.200q, and should be %.200q", column, live[i], should[i]))
		}
	}
	return strings.Join(what, "; ")
}

// walker is a place in the rows of one model.
type walker struct {
	rows   sqldb.Rows
	key    string
	values []string
	taken  bool // this row has been dealt with
	over   bool
	err    error
}

// walk begins before the first row. Keys are in the order of their bytes, as
// they are compared here.
func walk(ctx context.Context, q sqldb.Querier, dialect sqldb.Dialect, rows Rows, keys []string) (*walker, error) {
	columns := make([]string, len(rows.Columns))
	for i, column := range rows.Columns {
		columns[i] = `COALESCE(CAST(` + column + ` AS TEXT), 'NULL')`
	}
	statement := `SELECT ` + strings.Join(append([]string{rows.Key}, columns...), ", ") + ` FROM ` + rows.Table
	args := make([]any, len(keys))
	if len(keys) > 0 {
		statement += ` WHERE ` + rows.Key + ` IN ` + sqldb.List(1, len(keys))
		for i, key := range keys {
			args[i] = key
		}
	}
	statement += ` ORDER BY ` + rows.Key
	if dialect == sqldb.Postgres {
		statement += ` COLLATE "C"`
	}
	found, err := q.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return &walker{rows: found, values: make([]string, len(columns)), taken: true}, nil
}

// next makes the next row the current one, unless the current one is still to
// be dealt with. It returns false when reading failed.
func (w *walker) next() bool {
	if !w.taken || w.over {
		return true
	}
	w.taken = false
	if !w.rows.Next() {
		w.over, w.err = true, w.rows.Err()
		return w.err == nil
	}
	into := []any{&w.key}
	for i := range w.values {
		into = append(into, &w.values[i])
	}
	w.err = w.rows.Scan(into...)
	return w.err == nil
}
