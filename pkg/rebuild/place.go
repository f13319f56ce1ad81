package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"orderflow/pkg/sqldb"
)

// place is where a new model is made.
type place interface {
	// open makes the place unless it is there, and connects to it.
	open(ctx context.Context) (sqldb.DB, error)
	// remove takes it away with everything in it; that it is not there is no error.
	remove(ctx context.Context) error
	// keepOut keeps writers out of the live tables until the transaction ends; on
	// PostgreSQL readers as well.
	keepOut(ctx context.Context, tx sqldb.Tx, tables []string) error
	// swap puts the tables of the new place where the live ones are.
	swap(ctx context.Context, tx sqldb.Tx, beside sqldb.DB, tables []string) error
}

func placeBeside(live sqldb.DB, rawURL string) place {
	if live.Dialect() == sqldb.Postgres {
		return schema{live, rawURL}
	}
	return file{live, strings.TrimPrefix(rawURL, "sqlite://") + ".rebuild"}
}

// schema is a place on PostgreSQL.
type schema struct {
	live   sqldb.DB
	rawURL string
}

// names are those of the live schema and of the one beside it, quoted.
func (s schema) names(ctx context.Context, q sqldb.Querier) (live, beside string, err error) {
	err = q.QueryRow(ctx, `SELECT quote_ident(current_schema()), quote_ident(left(current_schema(), 55) || '_rebuild')`).Scan(&live, &beside)
	if err != nil {
		return "", "", fmt.Errorf("name of the schema: %w", err)
	}
	return live, beside, nil
}

func (s schema) open(ctx context.Context) (sqldb.DB, error) {
	_, beside, err := s.names(ctx, s.live)
	if err != nil {
		return nil, err
	}
	err = s.live.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+beside)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make the schema %s: %w", beside, err)
	}
	address, err := url.Parse(s.rawURL)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read") // which holds a password
	}
	query := address.Query()
	query.Set("search_path", beside)
	address.RawQuery = query.Encode()
	return sqldb.Open(ctx, address.String())
}

func (s schema) remove(ctx context.Context) error {
	_, beside, err := s.names(ctx, s.live)
	if err != nil {
		return err
	}
	return s.live.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DROP SCHEMA IF EXISTS `+beside+` CASCADE`)
		return err
	})
}

// keepOut takes at once the lock that the swap needs: a writer that has read
// before it writes would be in the way of a stronger one later, and wait for the
// weaker one now. It waits for less than the server takes to see a deadlock, so
// that it is this transaction that gives way and comes again, nobody else's.
func (s schema) keepOut(ctx context.Context, tx sqldb.Tx, tables []string) error {
	tx.Queue(`SET LOCAL lock_timeout = '500ms'`)
	_, err := tx.Exec(ctx, `LOCK TABLE `+strings.Join(tables, ", ")+` IN ACCESS EXCLUSIVE MODE`)
	return err
}

func (s schema) swap(ctx context.Context, tx sqldb.Tx, _ sqldb.DB, tables []string) error {
	live, beside, err := s.names(ctx, tx)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := tx.Exec(ctx, `DROP TABLE `+live+`.`+table); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `ALTER TABLE `+beside+`.`+table+` SET SCHEMA `+live); err != nil {
			return err
		}
	}
	return nil
}

// file is a place on SQLite.
type file struct {
	live sqldb.DB
	path string
}

func (f file) open(ctx context.Context) (sqldb.DB, error) { return sqldb.Open(ctx, "sqlite://"+f.path) }

func (f file) remove(context.Context) error {
	for _, suffix := range []string{"-wal", "-shm", "-journal", ""} {
		if err := os.Remove(f.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the place of the rebuild: %w", err)
		}
	}
	return nil
}

// keepOut has nothing to do once the transaction writes: there is one writer.
func (f file) keepOut(ctx context.Context, tx sqldb.Tx, _ []string) error {
	_, err := tx.Exec(ctx, `UPDATE rebuild SET updated_at = updated_at`)
	return err
}

func (f file) swap(ctx context.Context, tx sqldb.Tx, beside sqldb.DB, tables []string) error {
	for _, table := range tables {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table); err != nil {
			return err
		}
		if err := copyRows(ctx, tx, beside, table); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	return nil
}

// copyAtOnce is how many rows are in memory.
const copyAtOnce = 256

// copyRows adds the rows of a table of SQLite to the one of that name in tx.
func copyRows(ctx context.Context, tx sqldb.Tx, from sqldb.Querier, table string) error {
	// Generated columns are hidden: what is generated cannot be written.
	names, err := from.Query(ctx, `SELECT name FROM pragma_table_xinfo('`+table+`') WHERE hidden = 0 ORDER BY cid`)
	if err != nil {
		return err
	}
	columns, err := sqldb.Collect(names, func(row sqldb.Row) (name string, err error) { return name, row.Scan(&name) })
	if err != nil {
		return err
	}
	list := strings.Join(columns, ", ")
	rows, err := from.Query(ctx, `SELECT `+list+` FROM `+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	var args []any
	write := func() {
		sqldb.QueueRows(tx, `INSERT INTO `+table+` (`+list+`)`, len(columns), args, "")
		args = nil
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if args = append(args, values...); len(args) == copyAtOnce*len(columns) {
			write()
		}
	}
	write()
	return rows.Err()
}
