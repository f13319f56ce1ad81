package stored

import (
	"fmt"
	"time"

	"orderflow/pkg/es"
	"orderflow/services/order/internal/domain"
)

type moneyV1 struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type lineV1 struct {
	SKU       string  `json:"sku"`
	Name      string  `json:"name"`
	Quantity  int64   `json:"quantity"`
	UnitPrice moneyV1 `json:"unitPrice"`
}

// placedV1 stated the currency of an order once a line, and once more.
type placedV1 struct {
	CustomerID string    `json:"customerId"`
	Lines      []lineV1  `json:"lines"`
	Total      moneyV1   `json:"total"`
	PlacedAt   time.Time `json:"placedAt"`
}

type lineV2 struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice int64  `json:"unitPrice"`
}

// placedV2 states the currency once, since an order has one. Amounts are in its
// minor units.
type placedV2 struct {
	CustomerID string    `json:"customerId"`
	Currency   string    `json:"currency"`
	Lines      []lineV2  `json:"lines"`
	Total      int64     `json:"total"`
	PlacedAt   time.Time `json:"placedAt"`
}

func upcastPlacedV1(old placedV1) ([]es.Encoded, error) {
	lines := make([]lineV2, len(old.Lines))
	for i, line := range old.Lines {
		if line.UnitPrice.Currency != old.Total.Currency {
			return nil, fmt.Errorf("line %d is in %q, the total in %q", i, line.UnitPrice.Currency, old.Total.Currency)
		}
		lines[i] = lineV2{line.SKU, line.Name, line.Quantity, line.UnitPrice.Amount}
	}
	current, err := encoded(Placed, 2, placedV2{old.CustomerID, old.Total.Currency, lines, old.Total.Amount, old.PlacedAt})
	return []es.Encoded{current}, err
}

// encodePlaced refuses an order in several currencies, which no decision makes:
// written in one of them it would be another order.
func encodePlaced(e domain.Placed) (es.Encoded, error) {
	lines := make([]lineV2, len(e.Lines))
	for i, line := range e.Lines {
		if line.UnitPrice.Currency != e.Total.Currency {
			return es.Encoded{}, fmt.Errorf("line %d is in %q, the total in %q", i, line.UnitPrice.Currency, e.Total.Currency)
		}
		lines[i] = lineV2{line.SKU, line.Name, line.Quantity, line.UnitPrice.Amount}
	}
	return encoded(Placed, 2, placedV2{e.CustomerID, e.Total.Currency, lines, e.Total.Amount, e.At})
}

func (p placedV2) event() domain.Placed {
	lines := make([]domain.Line, len(p.Lines))
	for i, line := range p.Lines {
		price := domain.Money{Amount: line.UnitPrice, Currency: p.Currency}
		lines[i] = domain.Line{SKU: line.SKU, Name: line.Name, Quantity: line.Quantity, UnitPrice: price}
	}
	return domain.Placed{CustomerID: p.CustomerID, Lines: lines, Total: domain.Money{Amount: p.Total, Currency: p.Currency}, At: p.PlacedAt}
}
