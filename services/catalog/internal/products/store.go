package products

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the migrations of the table of products, for service.Migrate.
func Migrations() fs.FS { return migrations }

// Store keeps the products. Safe for concurrent use, also by several processes.
type Store struct {
	db  sqldb.DB
	out *outbox.Outbox
}

// New returns the store of the products in db, which announces what people did
// through out, an outbox in the same database.
func New(db sqldb.DB, out *outbox.Outbox) *Store { return &Store{db: db, out: out} }

// change lets decide turn the product with a SKU into what it becomes, and writes
// that if its version was counted up. decide may be called again: when another
// transaction was faster, the decision is taken anew on what that one left. It
// must therefore be pure. Every round that is lost was won by somebody else, and
// the end of ctx ends it.
func change(
	ctx context.Context, tx sqldb.Tx, sku string, decide func(Product) (Product, error),
) (before, after Product, err error) {
	for {
		if before, err = load(ctx, tx, sku); err != nil {
			return before, before, err
		}
		if after, err = decide(before); err != nil || after.Version == before.Version {
			return before, before, err
		}
		written, err := save(ctx, tx, after)
		if err != nil || written {
			return before, after, err
		}
	}
}

const columns = `sku, version, name, amount, currency, listed_at, changed_at`

// load returns the product with a SKU, or an unlisted one.
func load(ctx context.Context, q sqldb.Querier, sku string) (Product, error) {
	product, err := scan(q.QueryRow(ctx, `SELECT `+columns+` FROM product WHERE sku = $1`, sku))
	if errors.Is(err, sqldb.ErrNoRows) {
		return unlisted(sku), nil
	}
	if err != nil {
		return Product{}, fmt.Errorf("load product %s: %w", sku, err)
	}
	return product, nil
}

// save writes the product over the version before it, and reports false when
// that is no longer there.
func save(ctx context.Context, tx sqldb.Tx, p Product) (bool, error) {
	statement := `INSERT INTO product (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (sku) DO NOTHING`
	if p.Version > 0 {
		statement = `UPDATE product SET version = $2, name = $3, amount = $4, currency = $5, listed_at = $6, changed_at = $7
			WHERE sku = $1 AND version = $2 - 1`
	}
	n, err := tx.Exec(ctx, statement, p.SKU, p.Version, p.Name, p.Price.Amount, p.Price.Currency,
		sqldb.Micros(p.ListedAt), sqldb.Micros(p.ChangedAt))
	if err != nil {
		return false, fmt.Errorf("save product %s: %w", p.SKU, err)
	}
	return n == 1, nil
}

func scan(row sqldb.Row) (Product, error) {
	var p Product
	var listedAt, changedAt int64
	if err := row.Scan(&p.SKU, &p.Version, &p.Name, &p.Price.Amount, &p.Price.Currency, &listedAt, &changedAt); err != nil {
		return p, err
	}
	p.ListedAt, p.ChangedAt = sqldb.Time(listedAt), sqldb.Time(changedAt)
	return p, nil
}
