package journey

import (
	"slices"
	"time"
)

// divide tells waiting from working for every item whose cause is known, and how
// long people took.
func divide(items []Item, byKey map[string]int) {
	for i := range items {
		item := &items[i]
		if len(item.From) > 0 {
			item.Spans = item.spans(items[byKey[item.From[0]]])
		}
	}
	for i := range items {
		if since := ready(items, items[i]); !since.IsZero() {
			items[i].Spans = span(nil, Person, since, items[i].At)
		}
	}
}

// spans divides the time from the cause to the item.
func (i Item) spans(cause Item) []Span {
	began := i.Since
	switch {
	case i.incoming() && began.IsZero():
		return nil // when it was taken is not known
	case i.incoming():
		spans := span(nil, Queued, cause.At, began)
		if i.Kind == "received" && i.Attempts <= 1 {
			return span(spans, Working, began, i.At)
		}
		return span(spans, Held, began, i.At)
	case !began.IsZero(): // written down, and sent later
		return span(span(nil, Working, cause.begin(), began), Unsent, began, i.At)
	case i.outgoing():
		return span(nil, Unsent, cause.At, i.At)
	default:
		return span(nil, Working, cause.begin(), i.At)
	}
}

// begin is when work on the item began: its effects come before its own end. When
// the attempt that worked began, after others, is not known.
func (i Item) begin() time.Time {
	if i.incoming() && !i.Since.IsZero() && i.Attempts <= 1 {
		return i.Since
	}
	return i.At
}

// span adds a span, unless the clocks say that it was none.
func span(spans []Span, doing string, from, to time.Time) []Span {
	if to.Before(from) {
		return spans
	}
	return append(spans, Span{Doing: doing, From: from, Ms: between(from, to)})
}

// The steps of an order's process that a deadline brings about.
const (
	delayed = "fulfilment-delayed"
	expired = "fulfilment-expired"
)

// ready is since when a person could have done what was asked for by a request, or
// what a deadline has passed without: since the last event that their service had
// received before, or since it was found to be late. Customers are not waited for.
func ready(items []Item, end Item) (since time.Time) {
	deadline := end.Kind == "appended" && (end.Type == delayed || end.Type == expired)
	if !deadline && (end.Kind != "http" || !slices.Contains([]string{packing, dispatch}, end.Service)) {
		return since
	}
	for _, item := range items {
		begins := item.Kind == "received" && item.Service == end.Service
		if deadline {
			begins = item.Kind == "appended" && item.Type == delayed ||
				item.Kind == "received" && (item.Service == packing && item.Type == placedV1 || item.Service == dispatch && item.Type == packedV1)
		}
		if begins && item.At.Before(end.At) && item.At.After(since) {
			since = item.At
		}
	}
	return since
}

// Spent is how long each thing went on, in ms, by what it was. A moment at which
// the same went on in two places, or one within the other, counts once; one at
// which somebody worked and something else waited counts for both.
func Spent(items []Item) map[string]float64 {
	of := map[string][]Span{}
	for _, item := range items {
		for _, span := range item.Spans {
			of[span.Doing] = append(of[span.Doing], span)
		}
	}
	spent := map[string]float64{}
	for doing, spans := range of {
		slices.SortFunc(spans, func(a, b Span) int { return a.From.Compare(b.From) })
		var counted time.Time // up to when
		for _, span := range spans {
			from, to := span.From, span.From.Add(time.Duration(span.Ms*1000)*time.Microsecond)
			if from.Before(counted) {
				from = counted
			}
			if to.After(from) {
				spent[doing] += between(from, to)
				counted = to
			}
		}
	}
	return spent
}
