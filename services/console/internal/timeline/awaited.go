package timeline

import (
	"slices"
	"time"

	"orderflow/pkg/inbox"
	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
)

// Awaited is something that should come next and has not.
type Awaited struct {
	// Service is who has to do something.
	Service string `json:"service"`
	// Doing is what goes on meanwhile: an event travels, or a person is waited for.
	Doing string `json:"doing" enum:"travelling,person"`
	// Type and ID are those of the event that travels.
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	// From is the key of what it follows from, and Since when that happened.
	From  string    `json:"from"`
	Since time.Time `json:"since"`
}

// The events of an order, as the console knows them.
const (
	placedV1     = "order.events.placed.v1"
	placedV2     = "order.events.placed.v2" // beside v1, for whoever reads that instead
	cancelledV1  = "order.events.cancelled.v1"
	packedV1     = "packing.events.packed.v1"
	rejectedV1   = "packing.events.rejected.v1"
	dispatchedV1 = "dispatch.events.dispatched.v1"
	delayedV1    = "order.events.delayed.v1"
	returnedV1   = "packing.events.returned.v1"

	returnToStockV1 = "packing.commands.return_to_stock.v1"
)

// readersOf lists who reads an event of an order. Readers that are not listed
// show up when they have received it; they are only not waited for.
func readersOf(typ string) []string {
	switch typ {
	case placedV1:
		return []string{neighbours.Packing, neighbours.CRM}
	case placedV2:
		return []string{neighbours.Reporting}
	case cancelledV1:
		return []string{neighbours.Packing, neighbours.Dispatch, neighbours.CRM, neighbours.Reporting}
	case packedV1:
		return []string{neighbours.Order, neighbours.Dispatch, neighbours.CRM, neighbours.Reporting}
	case rejectedV1:
		return []string{neighbours.Order}
	case dispatchedV1:
		return []string{neighbours.Order, neighbours.CRM, neighbours.Reporting}
	case delayedV1:
		return []string{neighbours.CRM, neighbours.Reporting}
	case returnToStockV1:
		return []string{neighbours.Packing}
	case returnedV1:
		return []string{neighbours.Order, neighbours.Reporting}
	default:
		return nil
	}
}

// await tells what has not come yet. silent are the services that did not
// answer: what they have received is unknown, so nothing is said of them. Nor of
// events so old that their readers may have forgotten receiving them.
func await(items []Item, order *board.Order, silent []string, now time.Time) []Awaited {
	received := map[string]bool{}
	for _, item := range items {
		if item.incoming() {
			received[item.Service+" "+item.ID] = true
		}
	}
	awaited := []Awaited{}
	for _, item := range items {
		if item.Kind != "published" || now.Sub(item.At) > inbox.MinRetention {
			continue
		}
		for _, reader := range readersOf(item.Type) {
			if !received[reader+" "+item.ID] && !slices.Contains(silent, reader) {
				awaited = append(awaited, Awaited{
					Service: reader, Doing: Travelling, Type: item.Type, ID: item.ID, From: item.Key, Since: item.At,
				})
			}
		}
	}
	if order == nil {
		return awaited
	}
	switch order.Status {
	case "placed":
		awaited = append(awaited, person(items, neighbours.Packing, placedV1)...)
	case "packed":
		awaited = append(awaited, person(items, neighbours.Dispatch, packedV1)...)
	}
	return awaited
}

// person waits for somebody at a service that has received an event and has not
// announced anything after it.
func person(items []Item, at, after string) []Awaited {
	var awaited []Awaited
	for _, item := range items {
		switch {
		case item.Service != at:
		case item.outgoing():
			return nil
		case item.Kind == "received" && item.Type == after:
			awaited = []Awaited{{Service: at, Doing: Person, From: item.Key, Since: item.At}}
		}
	}
	return awaited
}
