package web

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
	"orderflow/services/order/internal/fulfilment"
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
			At: e.At, Kind: "appended", ID: e.ID.String(), Type: e.Type, Sequence: &revision, Position: int64(e.Position), //nolint:gosec // below 2^63
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
