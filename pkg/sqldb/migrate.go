package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrate brings the tables of one component up to date. files holds the
// migrations of each dialect in a folder named after it, as goose reads them
// (00001_name.sql with "-- +goose Up"); which ones ran is kept in the table
// <name>_migrations, so the components in one database do not meet.
//
// Any number of processes may call it at the same time; one of them does the
// work. On PostgreSQL the others wait for it. SQLite has no lock that outlives
// a transaction: there a loser's migration is rolled back and it looks again,
// so a SQLite migration must not carry "-- +goose NO TRANSACTION".
func Migrate(ctx context.Context, db DB, name string, files fs.FS) error {
	if err := migrate(ctx, db, name, files); err != nil {
		return fmt.Errorf("migrate %s: %w", name, err)
	}
	return nil
}

func migrate(ctx context.Context, db DB, name string, files fs.FS) error {
	folder, err := fs.Sub(files, string(db.Dialect()))
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	var standard *sql.DB
	dialect := goose.DialectSQLite3
	switch inner := Unwrap(db).(type) {
	case *postgresDB:
		standard, dialect = inner.standard(), goose.DialectPostgres
		defer func() { _ = standard.Close() }() // only the wrapper; the pool stays
		options = append(options, goose.WithSessionLocker(migrationLock{name: name}))
	case *sqliteDB:
		standard = inner.standard()
	default:
		return fmt.Errorf("%T is none of this package's databases", inner)
	}
	store, err := database.NewStore(dialect, name+"_migrations")
	if err != nil {
		return err
	}
	if err := prepare(ctx, standard, dialect, store); err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectCustom, standard, folder, append(options, goose.WithStore(store))...)
	if errors.Is(err, goose.ErrNoMigrations) {
		return fmt.Errorf("no migrations in the folder %s/", db.Dialect())
	}
	if err != nil {
		return err
	}
	return upWhileOthersProgress(ctx, standard, store, provider)
}

// prepare makes the table of versions. goose would do it as well, but lets
// starters that collide wait for a second, and lets a version be there twice,
// which is what keeps a migration from taking effect twice.
func prepare(ctx context.Context, db *sql.DB, dialect goose.Dialect, store database.Store) error {
	tx, err := db.BeginTx(ctx, nil) // on SQLite this keeps out every other writer
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	look := `SELECT count(*) FROM sqlite_master WHERE name = $1`
	if dialect == goose.DialectPostgres {
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/migrate/', 0))`); err != nil {
			return err
		}
		look = `SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1`
	}
	var there int
	if err := tx.QueryRowContext(ctx, look, store.Tablename()).Scan(&there); err != nil || there == 1 {
		return err
	}
	if err := store.CreateVersionTable(ctx, tx); err != nil {
		return err
	}
	// The name comes from our own code, and a table cannot be a parameter.
	table := store.Tablename()
	if _, err := tx.ExecContext(ctx, `CREATE UNIQUE INDEX `+table+`_version ON `+table+` (version_id)`); err != nil {
		return err
	}
	if err := store.Insert(ctx, tx, database.InsertRequest{Version: 0}); err != nil {
		return err
	}
	return tx.Commit()
}

// upWhileOthersProgress repeats a failed migration as long as somebody else
// got further in the meantime: then it was the collision that failed.
func upWhileOthersProgress(ctx context.Context, db *sql.DB, store database.Store, provider *goose.Provider) error {
	before, err := store.GetLatestVersion(ctx, db)
	if err != nil {
		return err
	}
	for {
		_, err := provider.Up(ctx)
		if err == nil {
			return nil
		}
		after, versionErr := store.GetLatestVersion(ctx, db)
		if versionErr != nil || after == before {
			return err
		}
		before = after
	}
}

// migrationLock makes concurrent starters wait for each other. Unlike goose's
// own, which asks again every few seconds, it waits in the server. The schema
// is part of the key because advisory locks belong to the whole database.
type migrationLock struct{ name string }

func (l migrationLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx,
		`SELECT pg_advisory_lock(hashtextextended(current_schema() || '/migrate/' || $1, 0))`, l.name)
	return err
}

func (l migrationLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	var held bool
	err := conn.QueryRowContext(ctx,
		`SELECT pg_advisory_unlock(hashtextextended(current_schema() || '/migrate/' || $1, 0))`, l.name).Scan(&held)
	if err == nil && !held {
		return errors.New("the migration lock was lost on the way")
	}
	return err
}
