package journey

import (
	"strconv"
	"strings"
	"time"

	"orderflow/pkg/service"
)

// What went on between a cause and its effect.
const (
	// Working: one service was busy with it.
	Working = "working"
	// Publishing: the event was on its way to the bus.
	Publishing = "publishing"
	// Travelling: the event was on the bus, in a queue, or being handled.
	Travelling = "travelling"
	// Person: everything is ready for somebody to do their part.
	Person = "person"
)

// The parts of what went on that waiting is told from working by.
const (
	// Unsent: what was committed was not with the bus, or a mail not with its server.
	Unsent = "unsent"
	// Queued: the event was on the bus, and had not been taken.
	Queued = "queued"
	// Held: handling it had failed, or something before it had; it was tried again.
	Held = "held"
	// Besides, there are [Working] and [Person].
)

// Span is a part of the time up to an item.
type Span struct {
	Doing string `json:"doing" enum:"working,unsent,queued,held,person"`
	// From is when it began, and Ms how long it took, in ms.
	From time.Time `json:"from"`
	Ms   float64   `json:"ms"`
}

// Item is one thing that happened to the order.
type Item struct {
	// Key is the item's name on this timeline; it stays while the timeline grows.
	Key     string `json:"key"`
	Service string `json:"service"`
	service.TraceItem
	// From are the keys of its causes, as far as they are known.
	From []string `json:"from,omitempty"`
	// Doing is what went on since the cause, and TookMs how long, in ms. It is
	// negative when the effect was noted before the cause.
	Doing  string  `json:"doing,omitempty" enum:"working,publishing,travelling"`
	TookMs float64 `json:"tookMs,omitempty"`
	// Spans divide the time since the cause into waiting and working, in order,
	// as far as the services know; nothing in them is negative.
	Spans []Span `json:"spans,omitempty"`
}

// outgoing reports whether the item is about an event that its service publishes.
func (i Item) outgoing() bool {
	switch i.Kind {
	case "published", "pending":
		return true
	case "parked":
		return strings.HasPrefix(i.Type, i.Service+".")
	default:
		return false
	}
}

// incoming reports whether the item is about an event that its service consumes.
func (i Item) incoming() bool {
	switch i.Kind {
	case "received", "held", "discarded":
		return true
	case "parked":
		return !i.outgoing()
	default:
		return false
	}
}

// name is the part of the key that the item itself gives. It does not depend on
// what has become of an event, so that one held back and then received stays the
// same item.
func (i Item) name() string {
	role := i.Kind
	switch {
	case i.outgoing():
		role = "out"
	case i.incoming():
		role = "in"
	}
	id := i.ID
	if id == "" || role == "wrote" {
		id += "/" + i.Type
	}
	return i.Service + "/" + role + "/" + id
}

// Items turns what one service tells into items with keys of their own. A
// request that had several effects is told with each of them: it happened once.
func Items(trace service.Trace) []Item {
	items := make([]Item, 0, len(trace.Items))
	used := map[string]int{}
	for _, told := range trace.Items {
		item := Item{Service: trace.Service, TraceItem: told}
		name := item.name()
		used[name]++
		if used[name] > 1 {
			if told.Kind == "http" {
				continue
			}
			name += "#" + strconv.Itoa(used[name])
		}
		item.Key = name
		items = append(items, item)
	}
	return items
}

// between is the time from a cause to its effect, in ms.
func between(cause, effect time.Time) float64 {
	return float64(effect.Sub(cause).Microseconds()) / 1000
}
