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

const (
	// most bounds the differences that are kept; a model that is wrong everywhere
	// need not be told row by row.
	most = 1000
	// suspects bounds the rows that differ and are in memory until it is clear
	// whether they have an excuse.
	suspects = 2000
	// asked is how many subjects are asked about at once.
	asked = 200
)

// errEnough says that there are more differences than are kept.
var errEnough = errors.New("more differences than are kept")

// comparison is one look at both models.
type comparison struct {
	model        Model
	feed         Feed
	live, beside sqldb.DB
	since        int64
	patience     time.Duration

	compared int64
	found    []Difference
}

// compare looks at everything, and then again at what was in flight, until it
// is clear or for patience.
func (c *comparison) compare(ctx context.Context) error {
	refused, err := c.feed.Refused(ctx, most)
	if err != nil {
		return err
	}
	err = c.find(refused)
	for _, table := range c.model.Tables {
		if err == nil && table.Key != "" {
			err = c.table(ctx, table)
		}
	}
	if err == nil && c.model.Derived != nil {
		err = c.derived(ctx)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// find keeps differences, and returns errEnough when there is no room for more.
func (c *comparison) find(more []Difference) error {
	c.found = append(c.found, more...)
	if len(c.found) >= most {
		c.found = c.found[:most]
		return errEnough
	}
	return nil
}

// derived looks in each model, by itself, at what follows from its rows.
func (c *comparison) derived(ctx context.Context) error {
	for _, side := range []struct {
		of string
		db sqldb.DB
	}{{"", c.live}, {"in the new model: ", c.beside}} {
		var wrong []Difference
		err := side.db.View(ctx, func(tx sqldb.Tx) (err error) {
			wrong, err = c.model.Derived(ctx, tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("compare what follows from rows: %w", err)
		}
		for i := range wrong {
			wrong[i].What = side.of + wrong[i].What
		}
		if err := c.find(wrong); err != nil {
			return err
		}
	}
	return nil
}

// table compares a table, a stretch after the other: each ends where there are
// enough rows in memory that differ.
func (c *comparison) table(ctx context.Context, table Table) error {
	columns, err := columnsOf(ctx, c.beside, table.Name)
	if err != nil {
		return fmt.Errorf("compare %s: %w", table.Name, err)
	}
	rows := rows{table: table, columns: slices.DeleteFunc(columns, func(column string) bool {
		return column == table.Key || slices.Contains(table.Except, column)
	})}
	for more := true; more; {
		var differing []candidate
		var count int64
		if differing, count, more, err = c.look(ctx, rows); err != nil {
			return fmt.Errorf("compare %s: %w", table.Name, err)
		}
		c.compared += count
		if more {
			rows.after = differing[len(differing)-1].Key
		}
		if err := c.settle(ctx, rows, differing); err != nil {
			return err
		}
	}
	return nil
}

// settle looks at rows that differ again for as long as they have an excuse.
func (c *comparison) settle(ctx context.Context, rows rows, differing []candidate) error {
	until := time.Now().Add(c.patience)
	for {
		wrong, open := split(differing)
		if err := c.find(wrong); err != nil || len(open) == 0 {
			return err
		}
		if time.Now().After(until) {
			for i := range open {
				open[i].What += ", while one of them lacks an event of it"
			}
			differing = nil
			for _, d := range open {
				differing = append(differing, candidate{Difference: d.Difference})
			}
			continue
		}
		if !pause(ctx, 100*time.Millisecond, nil) {
			return ctx.Err()
		}
		differing = nil
		for part := range slices.Chunk(open, asked) {
			rows.keys = make([]string, len(part))
			for i, d := range part {
				rows.keys[i] = d.Key
			}
			again, _, _, err := c.look(ctx, rows)
			if err != nil {
				return fmt.Errorf("compare %s: %w", rows.table.Name, err)
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

// look compares rows in one snapshot on either side, and tells which of those
// that differ have an event in flight. more says that it ended at the last of
// these, before the end.
func (c *comparison) look(ctx context.Context, rows rows) (differing []candidate, count int64, more bool, err error) {
	err = c.live.View(ctx, func(live sqldb.Tx) error {
		return c.beside.View(ctx, func(beside sqldb.Tx) error {
			var err error
			if differing, count, more, err = merge(ctx, live, beside, c.live.Dialect(), rows); err != nil {
				return err
			}
			for part := range slices.Chunk(differing, asked) {
				subjects := make([]string, len(part))
				for i, d := range part {
					subjects[i] = d.Key
				}
				inFlight, err := c.feed.InFlight(ctx, live, beside, subjects, c.since)
				if err != nil {
					return err
				}
				for i := range part {
					part[i].inFlight = inFlight[part[i].Key]
				}
			}
			return nil
		})
	})
	return differing, count, more, err
}

// merge walks through the rows of both models side by side.
func merge(ctx context.Context, live, beside sqldb.Querier, dialect sqldb.Dialect, rows rows) (differing []candidate, count int64, more bool, err error) {
	one, err := walk(ctx, live, dialect, rows)
	if err != nil {
		return nil, 0, false, err
	}
	defer one.rows.Close()
	other, err := walk(ctx, beside, dialect, rows)
	if err != nil {
		return nil, 0, false, err
	}
	defer other.rows.Close()
	differ := func(key, what string) {
		differing = append(differing, candidate{Difference: Difference{rows.table.Name, key, what}})
	}
	for one.next() && other.next() && (!one.over || !other.over) {
		count++
		switch {
		case other.over || !one.over && one.key < other.key:
			differ(one.key, "is in the live model only")
			one.taken = true
		case one.over || other.key < one.key:
			differ(other.key, "is missing in the live model")
			other.taken = true
		default:
			if what := rows.changed(one.values, other.values); what != "" {
				differ(one.key, what)
			}
			one.taken, other.taken = true, true
		}
		if len(differing) == suspects {
			return differing, count, true, nil
		}
	}
	return differing, count, false, errors.Join(one.err, other.err)
}

// rows are those of a table that are compared: all, those behind a key, or those
// with certain keys.
type rows struct {
	table   Table
	columns []string
	after   string
	keys    []string
}

// changed tells in which columns a row of the live model is not what it should be.
func (r rows) changed(live, should []string) string {
	var what []string
	for i, column := range r.columns {
		switch {
		case live[i] == should[i]:
		case slices.Contains(r.table.Personal, column):
			what = append(what, column+" is not what it should be")
		default:
			what = append(what, fmt.Sprintf("%s is %s, and should be %s", column, shown(live[i]), shown(should[i])))
		}
	}
	return strings.Join(what, "; ")
}

// Values are read as texts; a letter before them tells the text NULL from none.
const none, some = `NULL`, `=`

func shown(value string) string {
	if value == none {
		return none
	}
	return fmt.Sprintf("%.200q", strings.TrimPrefix(value, some))
}

// columnsOf lists the columns of a table, generated ones included.
func columnsOf(ctx context.Context, db sqldb.DB, table string) ([]string, error) {
	list := `SELECT name FROM pragma_table_xinfo($1) ORDER BY cid`
	if db.Dialect() == sqldb.Postgres {
		list = `SELECT CAST(column_name AS TEXT) FROM information_schema.columns
			WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`
	}
	found, err := db.Query(ctx, list, table)
	if err != nil {
		return nil, err
	}
	return sqldb.Collect(found, func(row sqldb.Row) (name string, err error) { return name, row.Scan(&name) })
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
func walk(ctx context.Context, q sqldb.Querier, dialect sqldb.Dialect, rows rows) (*walker, error) {
	key := rows.table.Key
	if dialect == sqldb.Postgres {
		key += ` COLLATE "C"`
	}
	columns := make([]string, len(rows.columns))
	for i, column := range rows.columns {
		columns[i] = `COALESCE('` + some + `' || CAST(` + column + ` AS TEXT), '` + none + `')`
	}
	statement := `SELECT ` + strings.Join(append([]string{rows.table.Key}, columns...), ", ") + ` FROM ` + rows.table.Name
	var args []any
	switch {
	case len(rows.keys) > 0:
		statement += ` WHERE ` + rows.table.Key + ` IN ` + sqldb.List(1, len(rows.keys))
		for _, key := range rows.keys {
			args = append(args, key)
		}
	case rows.after != "":
		statement += ` WHERE ` + key + ` > $1`
		args = append(args, rows.after)
	}
	found, err := q.Query(ctx, statement+` ORDER BY `+key, args...)
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
