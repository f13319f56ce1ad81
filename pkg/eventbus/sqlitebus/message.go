package sqlitebus

import (
	"database/sql"
	"errors"
	"fmt"

	"orderflow/pkg/eventbus"
)

// The columns of a message are called as the attributes of the envelope are.
const (
	messageColumnNames = `seq, id, source, type, subject, time, datacontenttype,
		correlationid, causationid, traceparent, sequence, data, replayed`
	messageColumns = 13
)

func appendColumns(args []any, seq int64, e eventbus.Event) []any {
	return append(args, seq, e.ID, e.Source, e.Type, e.Subject, eventbus.FormatTime(e.Time), e.ContentType(),
		e.CorrelationID, e.CausationID, e.TraceParent, e.Sequence, e.Data, e.Replayed)
}

// errMissing says that the file is not what this program has written. To skip
// the delivery would be to lose an event without a word.
var errMissing = errors.New("a message is missing: the file is damaged")

// scanDelivery reads a row of delivery.lost and messageColumnNames. What this program writes is
// always valid; a row that someone else put there may not be, and is delivered
// as malformed rather than blocking the queue.
func scanDelivery(rows *sql.Rows) (seq, lost int64, d eventbus.Delivery, err error) {
	var e eventbus.Event
	var at string
	var number sql.NullInt64
	err = rows.Scan(&lost, &number, &e.ID, &e.Source, &e.Type, &e.Subject, &at, &e.DataContentType,
		&e.CorrelationID, &e.CausationID, &e.TraceParent, &e.Sequence, &e.Data, &e.Replayed)
	seq = number.Int64
	if !number.Valid {
		err = errMissing
	}
	if err != nil {
		return 0, 0, d, fmt.Errorf("read message: %w", err)
	}
	if len(e.Data) == 0 {
		e.Data = nil
	}
	problem := e.SetAttribute(eventbus.AttributeTime, at)
	if problem == nil {
		problem = e.Validate()
	}
	if problem != nil {
		return seq, lost, eventbus.SetAside(e, problem), nil
	}
	return seq, lost, eventbus.Delivery{Event: e}, nil
}
