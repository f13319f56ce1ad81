package products

import (
	"encoding/json"
	"fmt"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/position"
)

// What catalog tells the others. The names are part of stored history: they
// never follow a renaming in the code.
const (
	productListedV1 = "catalog.events.product_listed.v1"
	priceChangedV1  = "catalog.events.price_changed.v1"
)

const source = "/orderflow/catalog"

type productListedData struct {
	SKU        string    `json:"sku"`
	Name       string    `json:"name"`
	Price      Money     `json:"price"`
	OccurredAt time.Time `json:"occurredAt"`
}

type priceChangedData struct {
	SKU        string    `json:"sku"`
	OldPrice   Money     `json:"oldPrice"`
	NewPrice   Money     `json:"newPrice"`
	OccurredAt time.Time `json:"occurredAt"`
}

func announceListed(_, after Product, c cause.Cause) (eventbus.Event, error) {
	return announcement(after, c, productListedV1,
		productListedData{SKU: after.SKU, Name: after.Name, Price: after.Price, OccurredAt: after.ChangedAt})
}

func announceRepriced(before, after Product, c cause.Cause) (eventbus.Event, error) {
	return announcement(after, c, priceChangedV1,
		priceChangedData{SKU: after.SKU, OldPrice: before.Price, NewPrice: after.Price, OccurredAt: after.ChangedAt})
}

// position is that of what was announced last about a product: each change is
// announced, and nothing else counts its version up.
func (p Product) position() position.Position {
	name := position.NameOf(priceChangedV1)
	if p.Version == 0 {
		name = position.NameOf(productListedV1)
	}
	return position.Position{Source: source, Subject: p.SKU, Name: name, Sequence: p.Version}
}

// announcement puts data into an envelope. The id is derived from the command,
// so the same fact has the same id however often it is announced.
func announcement(p Product, c cause.Cause, typ string, data any) (eventbus.Event, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return eventbus.Event{}, fmt.Errorf("encode %s of %s: %w", typ, p.SKU, err)
	}
	return eventbus.Event{
		ID:              cause.IntegrationID(c.EventID("catalog-"+p.SKU, 0), typ).String(),
		Source:          source,
		Type:            typ,
		Subject:         p.SKU,
		Time:            p.ChangedAt,
		DataContentType: "application/json",
		Data:            text,
		CorrelationID:   c.CorrelationID,
		CausationID:     c.ID.String(),
		TraceParent:     c.TraceParent,
		Sequence:        p.Version,
	}, nil
}
