package journey

import (
	"slices"
	"time"

	"orderflow/pkg/inbox"
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

// The services that read events of an order.
const (
	order     = "order"
	packing   = "packing"
	dispatch  = "dispatch"
	crm       = "crm"
	reporting = "reporting"
)

// The events of an order, as they are known here.
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
		return []string{packing, crm}
	case placedV2:
		return []string{reporting}
	case cancelledV1:
		return []string{packing, dispatch, crm, reporting}
	case packedV1:
		return []string{order, dispatch, crm, reporting}
	case rejectedV1:
		return []string{order}
	case dispatchedV1:
		return []string{order, crm, reporting}
	case delayedV1:
		return []string{crm, reporting}
	case returnToStockV1:
		return []string{packing}
	case returnedV1:
		return []string{order, reporting}
	default:
		return nil
	}
}

// Await tells what has not come yet. status is that of the order, empty when it
// is not known, which says what people have to do next. silent are the services that did not
// answer: what they have received is unknown, so nothing is said of them. Nor of
// events so old that their readers may have forgotten receiving them.
func Await(items []Item, status string, silent []string, now time.Time) []Awaited {
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
	switch status {
	case "placed":
		awaited = append(awaited, person(items, packing, placedV1)...)
	case "packed":
		awaited = append(awaited, person(items, dispatch, packedV1)...)
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
