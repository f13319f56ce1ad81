package web

import (
	"encoding/json"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
	"orderflow/services/order/internal/domain"
)

type money struct {
	Amount   int64  `json:"amount" doc:"in the currency's smallest unit"`
	Currency string `json:"currency" doc:"ISO 4217"`
}

type line struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice money  `json:"unitPrice"`
}

// order is the body of an order.
type order struct {
	OrderID      string    `json:"orderId" format:"uuid"`
	CustomerID   string    `json:"customerId" format:"uuid"`
	Status       string    `json:"status" enum:"placed,packed,dispatched,cancelled"`
	Lines        []line    `json:"lines"`
	Total        money     `json:"total"`
	Version      int64     `json:"version"`
	PlacedAt     time.Time `json:"placedAt"`
	PackedAt     time.Time `json:"packedAt,omitzero"`
	DispatchedAt time.Time `json:"dispatchedAt,omitzero"`
	CancelledAt  time.Time `json:"cancelledAt,omitzero"`
	CancelReason string    `json:"cancelReason,omitempty"`
}

func orderBody(id string, o domain.Order, version int64) order {
	lines := make([]line, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = line{l.SKU, l.Name, l.Quantity, money(l.UnitPrice)}
	}
	return order{
		OrderID: id, CustomerID: o.CustomerID, Status: string(o.Status), Lines: lines, Total: money(o.Total), Version: version,
		PlacedAt: o.PlacedAt, PackedAt: o.PackedAt, DispatchedAt: o.DispatchedAt,
		CancelledAt: o.CancelledAt, CancelReason: o.CancelReason,
	}
}

type orderOutput struct {
	ETag string `header:"ETag"`
	Body order
}

// commandOutput is that of a command on an order that exists.
type commandOutput struct {
	ETag     string `header:"ETag"`
	Position string `header:"Orderflow-Position" doc:"?after=... of a read, in any service: answer when it shows this"`
	Body     order
}

func orderAnswer(id string, o domain.Order, version es.Revision) *orderOutput {
	return &orderOutput{ETag: service.ETag(int64(version)), Body: orderBody(id, o, int64(version))}
}

type placeInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"repeating a call with the same key gives the same order; not empty, and one only"`
	Body           placeBody
}

type placeBody struct {
	CustomerID string     `json:"customerId" format:"uuid"`
	Lines      []wantLine `json:"lines" minItems:"1" maxItems:"100" nullable:"false"`
}

type wantLine struct {
	SKU      string `json:"sku" minLength:"1" maxLength:"64" pattern:"^[^\\x00-\\x20\\x7f]+$" patternDescription:"a sku"`
	Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000"`
}

type placeOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Position string `header:"Orderflow-Position" doc:"?after=... of a read, in any service: answer when it shows this"`
	Body     order
}

type orderInput struct {
	OrderID string `path:"orderId"`
}

type cancelInput struct {
	OrderID string `path:"orderId"`
	IfMatch string `header:"If-Match" doc:"cancel this version only"`
	Body    struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank" doc:"kept for ever and told to others, also when the customer is forgotten: nothing personal"`
	}
}

type listInput struct {
	service.PageQuery
	service.AfterQuery
	CustomerID string `query:"customerId" format:"uuid"`
	Status     string `query:"status" enum:"placed,packed,dispatched,cancelled"`
}

type listOutput struct{ Body service.Page[order] }

type historyInput struct {
	service.PageQuery
	OrderID string `path:"orderId"`
}

// historyItem is one event of an order as it is stored.
type historyItem struct {
	Revision int64           `json:"revision"`
	EventID  string          `json:"eventId" format:"uuid"`
	Type     string          `json:"type"`
	Version  int             `json:"version"`
	At       time.Time       `json:"at"`
	Data     json.RawMessage `json:"data"`
	Metadata es.Metadata     `json:"metadata"`
}

type historyOutput struct{ Body service.Page[historyItem] }
