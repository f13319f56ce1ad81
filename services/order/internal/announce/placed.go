package announce

import (
	"time"

	"orderflow/services/order/internal/domain"
)

type money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type lineV1 struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice money  `json:"unitPrice"`
}

type placedV1 struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	Lines      []lineV1  `json:"lines"`
	Total      money     `json:"total"`
	OccurredAt time.Time `json:"occurredAt"`
}

type lineV2 struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice int64  `json:"unitPrice"`
	LineTotal int64  `json:"lineTotal"`
}

// placedV2 states the currency once, and amounts in its minor units.
type placedV2 struct {
	OrderID    string    `json:"orderId"`
	CustomerID string    `json:"customerId"`
	Currency   string    `json:"currency"`
	Lines      []lineV2  `json:"lines"`
	Total      int64     `json:"total"`
	OccurredAt time.Time `json:"occurredAt"`
}

func asV1(orderID string, e domain.Placed) placedV1 {
	lines := make([]lineV1, len(e.Lines))
	for i, l := range e.Lines {
		lines[i] = lineV1{l.SKU, l.Name, l.Quantity, money(l.UnitPrice)}
	}
	return placedV1{orderID, e.CustomerID, lines, money(e.Total), e.At}
}

func asV2(orderID string, e domain.Placed) placedV2 {
	lines := make([]lineV2, len(e.Lines))
	for i, l := range e.Lines {
		lines[i] = lineV2{l.SKU, l.Name, l.Quantity, l.UnitPrice.Amount, l.Quantity * l.UnitPrice.Amount}
	}
	return placedV2{orderID, e.CustomerID, e.Total.Currency, lines, e.Total.Amount, e.At}
}
