package inbox

import (
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// item is one event on its way through a batch.
type item struct {
	event     eventbus.Event
	received  time.Time
	malformed error
	handler   *handler
}

// newItem makes the n-th item of a batch. The times of arrival in a batch are a
// microsecond apart, so that a trace keeps its order.
func newItem(d eventbus.Delivery, now time.Time, n int) item {
	return item{event: readable(d.Event), received: now.Add(time.Duration(n) * time.Microsecond), malformed: d.Malformed}
}

// key is what makes an event the same: CloudEvents 1.0 has ids unique per source.
type key struct{ id, source string }

func (i item) key() key { return key{i.event.ID, i.event.Source} }

// kind tells items apart that cannot share a transaction.
type kind int

const (
	insideKind kind = iota
	outsideKind
	malformedKind
)

func (i item) kind() kind {
	switch {
	case i.malformed != nil:
		return malformedKind
	case i.handler.outside != nil:
		return outsideKind
	default:
		return insideKind
	}
}

// readable returns the event with attributes that every database can store. A
// message from elsewhere may hold anything, and must not keep its batch from
// being noted.
func readable(e eventbus.Event) eventbus.Event {
	for _, text := range []*string{&e.ID, &e.Source, &e.Type, &e.Subject, &e.DataContentType, &e.CorrelationID, &e.CausationID, &e.TraceParent} {
		*text = sqldb.Text(*text)
	}
	return e
}

// maxReason bounds what is kept of an error; the end of a stack helps nobody.
const maxReason = 8 << 10

func reasonOf(err error) string {
	text := err.Error()
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	return sqldb.Text(text)
}
