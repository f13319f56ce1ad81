package products

import (
	"context"
	"fmt"
	"math"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// Get returns the product with a SKU, or [ErrUnknown].
func (s *Store) Get(ctx context.Context, sku string) (Product, error) {
	product, err := load(ctx, s.db, sku)
	if err == nil && product.Version < 0 {
		err = fmt.Errorf("product %s: %w", sku, ErrUnknown)
	}
	return product, err
}

// place is where a product stands in the list. SKUs break ties between products
// listed in the same microsecond.
type place struct {
	listedAt int64
	sku      string
}

// top is the place above the newest product.
func top() place { return place{listedAt: math.MaxInt64} }

// list returns up to limit products below a place, those listed last first.
func (s *Store) list(ctx context.Context, below place, limit int) ([]Product, error) {
	rows, err := s.db.Query(ctx, `SELECT `+columns+` FROM product
		WHERE (listed_at, sku) < ($1, $2) ORDER BY listed_at DESC, sku DESC LIMIT $3`, below.listedAt, below.sku, limit)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	products, err := sqldb.Collect(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return products, nil
}

// Ledger is what the table of products is reconciled by.
func (s *Store) Ledger() service.Ledger {
	return service.Ledger{Kind: service.LedgerProduct, Read: s.ledger}
}

// ledger tells the sequence of the last event of each product, by SKU.
func (s *Store) ledger(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
	rows, err := s.db.Query(ctx, `SELECT `+columns+` FROM product WHERE `+q.Where("sku")+` ORDER BY sku LIMIT $2`, q.Subject, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("ledger of products: %w", err)
	}
	ledger, err := sqldb.Collect(rows, func(row sqldb.Row) (service.LedgerRow, error) {
		p, err := scan(row)
		return service.LedgerRow{
			Subject: p.SKU, LastSequence: p.Version, ChangedAt: p.ChangedAt,
			Facts: service.Facts{}.Text(service.FactName, p.Name).Text(service.FactPrice, service.MoneyFact(p.Price.Amount, p.Price.Currency)),
		}, err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger of products: %w", err)
	}
	return ledger, nil
}
