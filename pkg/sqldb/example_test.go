package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"orderflow/pkg/sqldb"
)

// The same statements run on PostgreSQL: only the URL differs.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "sqldb")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	db, err := sqldb.Open(ctx, "sqlite://"+filepath.Join(folder, "catalog.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()

	// A service embeds these as files.
	migrations := fstest.MapFS{
		"sqlite/00001_product.sql": {Data: []byte("-- +goose Up\nCREATE TABLE product (sku TEXT PRIMARY KEY, listed_at INTEGER NOT NULL);")},
	}
	if err := sqldb.Migrate(ctx, db, "catalog", migrations); err != nil {
		panic(err)
	}
	listed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	err = db.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO product (sku, listed_at) VALUES ($1, $2), ($3, $2)`, "mug", sqldb.Micros(listed), "pen")
		return err
	})
	if err != nil {
		panic(err)
	}
	rows, err := db.Query(ctx, `SELECT sku FROM product WHERE listed_at <= $1 ORDER BY sku`, sqldb.Micros(listed))
	if err != nil {
		panic(err)
	}
	skus, err := sqldb.Collect(rows, func(r sqldb.Row) (sku string, err error) { return sku, r.Scan(&sku) })
	fmt.Println(skus, err)
	err = db.QueryRow(ctx, `SELECT sku FROM product WHERE sku = 'lamp'`).Scan(new(string))
	fmt.Println(errors.Is(err, sqldb.ErrNoRows))
	// Output:
	// [mug pen] <nil>
	// true
}

// One process at a time does the work, and what it writes is fenced.
func ExampleLease() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "lease")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	db, err := sqldb.Open(ctx, "sqlite://"+filepath.Join(folder, "reports.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := sqldb.MigrateLease(ctx, db); err != nil {
		panic(err)
	}
	lease := sqldb.NewLease(db, "nightly report", "host-1", 10*time.Second)
	err = lease.Run(ctx, func(ctx context.Context, epoch int64) error {
		return db.Update(ctx, func(tx sqldb.Tx) error {
			if err := sqldb.Fence(ctx, tx, "nightly report", epoch); err != nil {
				return err
			}
			fmt.Println("the report of epoch", epoch)
			return nil
		})
	})
	fmt.Println(err)
	// Output:
	// the report of epoch 1
	// <nil>
}
