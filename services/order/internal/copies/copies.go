package copies

import (
	"context"
	"errors"
	"fmt"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/domain"
)

// The answers that refuse an order.
var (
	ErrUnknownCustomer     = errors.New("this customer is not known here")
	ErrCustomerDeactivated = errors.New("this customer is deactivated")
	ErrCustomerForgotten   = errors.New("this customer is forgotten")
	ErrUnknownProduct      = errors.New("this product is not known here")
)

// Copies reads and writes the copies. Safe for concurrent use.
type Copies struct{ db sqldb.DB }

// New returns the copies in db.
func New(db sqldb.DB) *Copies { return &Copies{db} }

type customerEvent struct {
	CustomerID string `json:"customerId"`
}

type money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type productListed struct {
	SKU   string `json:"sku"`
	Name  string `json:"name"`
	Price money  `json:"price"`
}

type priceChanged struct {
	SKU      string `json:"sku"`
	NewPrice money  `json:"newPrice"`
}

// Register adds the handlers that keep the copies up to date.
func (c *Copies) Register(in *inbox.Inbox) {
	inbox.On(in, "customer.events.created.v1", c.customerCreated)
	inbox.On(in, "customer.events.deactivated.v1", c.customerDeactivated)
	inbox.On(in, Forgotten, func(_ context.Context, tx sqldb.Tx, e eventbus.Event, data customerEvent) error {
		in.Erase(tx, e.Subject) // copies have nothing that tells who somebody is, but what is parked does
		return c.customerForgotten(tx, data)
	})
	inbox.On(in, "catalog.events.product_listed.v1", c.productListed)
	inbox.On(in, "catalog.events.price_changed.v1", c.priceChanged)
}

func (c *Copies) customerCreated(_ context.Context, tx sqldb.Tx, _ eventbus.Event, data customerEvent) error {
	tx.Queue(`INSERT INTO customer_copy (customer_id, created) VALUES ($1, 1)
		ON CONFLICT (customer_id) DO UPDATE SET created = 1`, data.CustomerID)
	return nil
}

func (c *Copies) customerDeactivated(_ context.Context, tx sqldb.Tx, _ eventbus.Event, data customerEvent) error {
	tx.Queue(`INSERT INTO customer_copy (customer_id, deactivated) VALUES ($1, 1)
		ON CONFLICT (customer_id) DO UPDATE SET deactivated = 1`, data.CustomerID)
	return nil
}

func (c *Copies) customerForgotten(tx sqldb.Tx, data customerEvent) error {
	tx.Queue(`INSERT INTO customer_copy (customer_id, forgotten) VALUES ($1, 1)
		ON CONFLICT (customer_id) DO UPDATE SET forgotten = 1`, data.CustomerID)
	return nil
}

func (c *Copies) productListed(_ context.Context, tx sqldb.Tx, e eventbus.Event, data productListed) error {
	setPrice(tx, data.SKU, data.Price, e.Sequence)
	tx.Queue(`UPDATE product_copy SET name = $2 WHERE sku = $1`, data.SKU, data.Name)
	return nil
}

func (c *Copies) priceChanged(_ context.Context, tx sqldb.Tx, e eventbus.Event, data priceChanged) error {
	setPrice(tx, data.SKU, data.NewPrice, e.Sequence)
	return nil
}

// setPrice takes over a price unless a later one is known.
func setPrice(tx sqldb.Tx, sku string, price money, sequence int64) {
	tx.Queue(`INSERT INTO product_copy (sku, price_amount, price_currency, price_sequence) VALUES ($1, $2, $3, $4)
		ON CONFLICT (sku) DO UPDATE SET price_amount = excluded.price_amount, price_currency = excluded.price_currency,
			price_sequence = excluded.price_sequence
		WHERE product_copy.price_sequence < excluded.price_sequence`, sku, price.Amount, price.Currency, sequence)
}

// CheckCustomer returns nil when the customer can order.
func (c *Copies) CheckCustomer(ctx context.Context, customerID string) error {
	var created, deactivated, forgotten bool
	err := c.db.QueryRow(ctx, `SELECT created = 1, deactivated = 1, forgotten = 1 FROM customer_copy WHERE customer_id = $1`, customerID).
		Scan(&created, &deactivated, &forgotten)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return ErrUnknownCustomer
	case err != nil:
		return fmt.Errorf("customer %s: %w", customerID, err)
	case forgotten:
		return ErrCustomerForgotten
	case !created:
		return ErrUnknownCustomer
	case deactivated:
		return ErrCustomerDeactivated
	}
	return nil
}

// Wanted is a line before it is priced.
type Wanted struct {
	SKU      string
	Quantity int64
}

// Price turns what is wanted into lines at today's prices. A product that is
// not known is a [domain.LineError] with [ErrUnknownProduct].
func (c *Copies) Price(ctx context.Context, wanted []Wanted) ([]domain.Line, error) {
	skus := make([]any, len(wanted))
	for i, w := range wanted {
		skus[i] = w.SKU
	}
	rows, err := c.db.Query(ctx, `SELECT sku, name, price_amount, price_currency FROM product_copy
		WHERE name IS NOT NULL AND sku IN `+sqldb.List(1, len(skus)), skus...)
	if err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	products, err := sqldb.Collect(rows, func(row sqldb.Row) (domain.Line, error) {
		var line domain.Line
		err := row.Scan(&line.SKU, &line.Name, &line.UnitPrice.Amount, &line.UnitPrice.Currency)
		return line, err
	})
	if err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	bySKU := make(map[string]domain.Line, len(products))
	for _, product := range products {
		bySKU[product.SKU] = product
	}
	lines := make([]domain.Line, len(wanted))
	for i, w := range wanted {
		line, known := bySKU[w.SKU]
		if !known {
			return nil, domain.LineError{Line: i, Err: ErrUnknownProduct}
		}
		line.Quantity = w.Quantity
		lines[i] = line
	}
	return lines, nil
}
