package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errNoPostgres does not repeat the URL, which may have a password in it.
var errNoPostgres = errors.New("not postgres://... but another URL for PostgreSQL")

// inPostgres runs use on a connection of its own. Making databases is not possible in a transaction. What the URL says to
// the services, such as pool_max_conns, is no setting of the server, which would refuse it.
func inPostgres(ctx context.Context, server string, use func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	config, err := pgxpool.ParseConfig(server)
	if err != nil {
		return errNoPostgres
	}
	delete(config.ConnConfig.RuntimeParams, "answer_within") // of sqldb.Open
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err) // it has no password in it
	}
	defer func() { _ = conn.Close(ctx) }() // nothing waits for an answer
	if err := use(ctx, conn); err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	return nil
}

// makeDatabases makes a database for each service. Those that it has noted in the room are there.
func (r *Room) makeDatabases(ctx context.Context) error {
	address, err := url.Parse(r.postgres)
	if err != nil || address.Scheme != "postgres" && address.Scheme != "postgresql" {
		return errNoPostgres
	}
	for _, service := range r.services {
		name := r.Name + "_" + service
		own := *address
		own.Path = "/" + name
		r.Databases[service] = own.String() // first: a call that was cut off may have made it
		err := inPostgres(ctx, r.postgres, func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, fmt.Sprintf(`CREATE DATABASE %q`, name))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeDatabases drops the databases. A slot of logical replication would keep its database.
func (r *Room) removeDatabases(ctx context.Context) error {
	var failed error
	for _, service := range r.services {
		if r.Databases[service] == "" {
			continue
		}
		name := r.Name + "_" + service
		failed = errors.Join(failed, inPostgres(ctx, r.postgres, func(ctx context.Context, conn *pgx.Conn) error {
			if err := dropSlots(ctx, conn, name); err != nil {
				return err
			}
			_, err := conn.Exec(ctx, fmt.Sprintf(`DROP DATABASE IF EXISTS %q WITH (FORCE)`, name))
			return err
		}))
	}
	return failed
}

func dropSlots(ctx context.Context, conn *pgx.Conn, database string) error {
	const which = `SELECT slot_name, coalesce(active_pid, 0) FROM pg_replication_slots WHERE database = $1`
	rows, err := conn.Query(ctx, which, database)
	if err != nil {
		return err
	}
	type slot struct {
		Name string
		PID  int
	}
	slots, err := pgx.CollectRows(rows, pgx.RowToStructByPos[slot])
	if err != nil {
		return err
	}
	for s := range slices.Values(slots) {
		if s.PID != 0 {
			if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend($1, 5000)`, s.PID); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, s.Name); err != nil {
			return err
		}
	}
	return nil
}
