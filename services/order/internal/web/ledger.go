package web

import (
	"context"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/listing"
)

// Ledger is what the list of orders is reconciled by.
func Ledger(list *listing.Listing) service.Ledger {
	return service.Ledger{Kind: service.LedgerOrder, Read: func(ctx context.Context, q service.LedgerQuery) ([]service.LedgerRow, error) {
		listed, err := list.Select(ctx, q)
		rows := make([]service.LedgerRow, len(listed))
		for i, order := range listed {
			rows[i] = ledgerRow(order)
		}
		return rows, err
	}}
}

// ledgerRow is what the list shows of an order. What lists are selected by counts
// where it differs from the state: the order is in the wrong list.
func ledgerRow(l listing.Listed) service.LedgerRow {
	o := l.Order
	lines, names := map[string]int64{}, map[string]int64{}
	for _, line := range o.Lines {
		lines[line.SKU] += line.Quantity
		names[line.Name] += line.Quantity
	}
	facts := service.Facts{}.
		Text(service.FactCustomer, o.CustomerID).
		Text(service.FactLines, service.LinesFact(lines)).Text(service.FactNames, service.LinesFact(names)).
		Text(service.FactTotal, service.MoneyFact(o.Total.Amount, o.Total.Currency))
	for name, at := range map[string]int64{
		service.FactPlacedAt: sqldb.Micros(o.PlacedAt), service.FactPackedAt: sqldb.Micros(o.PackedAt),
		service.FactDispatchedAt: sqldb.Micros(o.DispatchedAt), service.FactCancelledAt: sqldb.Micros(o.CancelledAt),
	} {
		facts.At(name, max(at, 0)) // a zero time is far below 0: never
	}
	if l.By.CustomerID != o.CustomerID {
		facts[service.FactCustomer] = l.By.CustomerID
	}
	if l.By.PlacedAt != sqldb.Micros(o.PlacedAt) {
		facts.At(service.FactPlacedAt, l.By.PlacedAt)
	}
	return service.LedgerRow{
		Kind: service.LedgerOrder, Subject: l.ID, LastSequence: l.Version, Status: l.By.Status, Facts: facts, ChangedAt: l.WrittenAt,
	}
}
