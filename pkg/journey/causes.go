package journey

import (
	"cmp"
	"slices"
	"time"
)

// Arrange links items to their causes and puts them in order: by time, and a
// cause before its effects.
func Arrange(items []Item) []Item {
	byKey := make(map[string]int, len(items))
	for i := range items {
		byKey[items[i].Key] = i
	}
	link(items)
	divide(items, byKey)
	effects := make([][]int, len(items))
	for i := range items {
		for _, from := range items[i].From {
			effects[byKey[from]] = append(effects[byKey[from]], i)
		}
	}
	order := ordering{items: items, effects: effects, seen: make([]bool, len(items)), places: make([]place, len(items))}
	for i := range items {
		order.settle(i)
	}
	order.joinRows()
	index := make([]int, len(items))
	for i := range index {
		index[i] = i
	}
	slices.SortFunc(index, func(a, b int) int {
		return cmp.Or(
			order.places[a].at.Compare(order.places[b].at),
			-cmp.Compare(order.places[a].height, order.places[b].height),
			cmp.Compare(items[a].Key, items[b].Key),
		)
	})
	arranged := make([]Item, len(items))
	for i, from := range index {
		arranged[i] = items[from]
	}
	return arranged
}

// link finds every item's causes.
func link(items []Item) {
	published := map[string]int{} // by event id
	inside := map[string]int{}    // by service and id of what others are caused by
	for i, item := range items {
		switch {
		case item.ID == "":
		case item.outgoing():
			published[item.ID] = i
		case item.Kind == "http" || item.Kind == "appended" || item.incoming():
			inside[item.Service+" "+item.ID] = i
		}
	}
	for i := range items {
		item := &items[i]
		cause, known := inside[item.Service+" "+item.CausationID]
		doing := Working
		if item.incoming() {
			// What its publisher calls the cause happened over there.
			cause, known = published[item.ID]
			doing = Travelling
		}
		if !known || cause == i {
			continue
		}
		if item.outgoing() {
			doing = Publishing
		}
		item.From = []string{items[cause].Key}
		item.Doing, item.TookMs = doing, between(items[cause].At, item.At)
	}
}

// place is where an item stands.
type place struct {
	at time.Time
	// height is the longest chain of effects below: what has more to come stands
	// first among the things of one moment.
	height int
}

type ordering struct {
	items   []Item
	effects [][]int
	seen    []bool
	places  []place
}

// settle finds an item's place: its own time, or that of its first effect where
// that is earlier. Ids that go round in a circle, which only a fault can make,
// end at what was seen first.
func (o *ordering) settle(i int) place {
	if o.seen[i] {
		return o.places[i]
	}
	o.seen[i] = true
	o.places[i].at = o.items[i].At
	found := o.places[i]
	for _, effect := range o.effects[i] {
		below := o.settle(effect)
		if below.at.Before(found.at) {
			found.at = below.at
		}
		found.height = max(found.height, below.height+1)
	}
	o.places[i] = found
	return found
}

// sameMoment is how long after a row was written the event behind it is noted
// as received: both are one transaction.
const sameMoment = 100 * time.Millisecond

// joinRows puts rows below what was received in the same transaction. Rows do
// not say what changed them, so this is only about where they stand.
func (o *ordering) joinRows() {
	for i, row := range o.items {
		if row.Kind != "wrote" || len(row.From) > 0 {
			continue
		}
		first := place{height: -1} // below everything else of its moment
		for j, event := range o.items {
			after := event.At.Sub(row.At)
			near := event.Service == row.Service && event.incoming() && after >= 0 && after <= sameMoment
			if at := o.places[j].at; near && at.After(row.At) && (first.at.IsZero() || at.Before(first.at)) {
				first.at = at
			}
		}
		if !first.at.IsZero() {
			o.places[i] = first
		}
	}
}
