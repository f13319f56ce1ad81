package web

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
	"orderflow/services/order/internal/fulfilment"
	"orderflow/services/order/internal/listing"
)

// TraceStreams tells what the streams of the order and of its process say: the
// requests behind their events, and the events.
func (a *API) TraceStreams(ctx context.Context, orderID string) ([]service.TraceItem, error) {
	id, err := uuid.Parse(orderID)
	if err != nil {
		return nil, nil //nolint:nilerr // no order has such an id
	}
	var events []es.Recorded
	for _, category := range []string{"order", fulfilment.Category} {
		more, err := a.Store.ReadStream(ctx, es.StreamName(category, id), 0)
		if err != nil && !errors.Is(err, es.ErrNotFound) {
			return nil, err
		}
		events = append(events, more...)
	}
	var items []service.TraceItem
	for _, e := range events {
		if e.Metadata.Request != "" {
			items = append(items, service.TraceItem{
				At: e.Metadata.RequestedAt, Kind: "http", ID: e.Metadata.CausationID, Type: e.Metadata.Request,
				CorrelationID: e.Metadata.CorrelationID,
			})
		}
		revision := int64(e.Revision)
		items = append(items, service.TraceItem{
			At: e.At, Kind: "appended", ID: e.ID.String(), Type: e.Type, Sequence: &revision,
			CorrelationID: e.Metadata.CorrelationID, CausationID: e.Metadata.CausationID,
		})
	}
	return items, nil
}

// TraceRow tells what the list of orders shows.
func (a *API) TraceRow(ctx context.Context, orderID string) ([]service.TraceItem, error) {
	row, found, err := a.Listing.Row(ctx, orderID)
	if err != nil || !found {
		return nil, err
	}
	return []service.TraceItem{{
		At: row.WrittenAt, Kind: "wrote", ID: orderID, Type: "order_list", Sequence: &row.Version, Detail: string(row.Order.Status),
	}}, nil
}

// Ledger tells how far the rows of the list have come.
func Ledger(list *listing.Listing) func(ctx context.Context, after string, limit int) ([]service.LedgerRow, error) {
	return func(ctx context.Context, after string, limit int) ([]service.LedgerRow, error) {
		found, err := list.After(ctx, after, limit)
		rows := make([]service.LedgerRow, len(found))
		for i, listed := range found {
			rows[i] = service.LedgerRow{Subject: listed.ID, LastSequence: listed.Version}
		}
		return rows, err
	}
}
