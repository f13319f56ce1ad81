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
	return append(spans, Span{Doing: doing, Ms: between(from, to)})
}

// ready is since when a request of a person could have been made: since the last
// event that their service had received before. Customers are not waited for.
func ready(items []Item, request Item) (since time.Time) {
	if request.Kind != "http" || !slices.Contains([]string{packing, dispatch}, request.Service) {
		return since
	}
	for _, item := range items {
		if item.Service == request.Service && item.Kind == "received" && item.At.Before(request.At) && item.At.After(since) {
			since = item.At
		}
	}
	return since
}
