package stored

import (
	"encoding/json"
	"time"

	"orderflow/services/order/internal/domain"
)

// stateVersion is that of snapshots. Raise it when WriteState writes something
// else, or when the same events come to mean something else: the snapshots there
// are then taken anew.
const stateVersion = 1

// stateJSON is the state of an order. Its names are its own: what is written
// outlives the names of fields in the domain. It only ever grows, because the
// list of orders keeps it in its rows.
type stateJSON struct {
	Status       string     `json:"status"`
	CustomerID   string     `json:"customerId"`
	Lines        []lineJSON `json:"lines"`
	Total        moneyJSON  `json:"total"`
	PlacedAt     time.Time  `json:"placedAt"`
	PackedAt     time.Time  `json:"packedAt,omitzero"`
	DispatchedAt time.Time  `json:"dispatchedAt,omitzero"`
	CancelledAt  time.Time  `json:"cancelledAt,omitzero"`
	CancelReason string     `json:"cancelReason,omitempty"`
}

type lineJSON struct {
	SKU       string    `json:"sku"`
	Name      string    `json:"name"`
	Quantity  int64     `json:"quantity"`
	UnitPrice moneyJSON `json:"unitPrice"`
}

type moneyJSON struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// WriteState writes the state of an order as JSON.
func WriteState(o domain.Order) ([]byte, error) {
	lines := make([]lineJSON, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = lineJSON{l.SKU, l.Name, l.Quantity, moneyJSON(l.UnitPrice)}
	}
	return json.Marshal(stateJSON{
		Status: string(o.Status), CustomerID: o.CustomerID, Lines: lines, Total: moneyJSON(o.Total),
		PlacedAt: o.PlacedAt, PackedAt: o.PackedAt, DispatchedAt: o.DispatchedAt,
		CancelledAt: o.CancelledAt, CancelReason: o.CancelReason,
	})
}

// ReadState reads what [WriteState] has written.
func ReadState(text []byte) (domain.Order, error) {
	var s stateJSON
	if err := json.Unmarshal(text, &s); err != nil {
		return domain.Order{}, err
	}
	lines := make([]domain.Line, len(s.Lines))
	for i, l := range s.Lines {
		lines[i] = domain.Line{SKU: l.SKU, Name: l.Name, Quantity: l.Quantity, UnitPrice: domain.Money(l.UnitPrice)}
	}
	return domain.Order{
		Status: domain.Status(s.Status), CustomerID: s.CustomerID, Lines: lines, Total: domain.Money(s.Total),
		PlacedAt: s.PlacedAt, PackedAt: s.PackedAt, DispatchedAt: s.DispatchedAt,
		CancelledAt: s.CancelledAt, CancelReason: s.CancelReason,
	}, nil
}

// States is the form of an order in a snapshot. It has no state.
type States struct{}

// Version is that of the form.
func (States) Version() int { return stateVersion }

// EncodeState is [WriteState].
func (States) EncodeState(o domain.Order) ([]byte, error) { return WriteState(o) }

// DecodeState is [ReadState].
func (States) DecodeState(data []byte) (domain.Order, error) { return ReadState(data) }
