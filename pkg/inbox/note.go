package inbox

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// The outcomes of a row of the inbox.
const (
	outcomeHandled   = "handled" // also in the statement of a batch on PostgreSQL
	outcomeDiscarded = "discarded"
)

const inboxColumns = `consumer, id, source, type, subject, sequence, correlation_id, causation_id, time,
		received_at, handled_at, attempts, outcome, reason`

// note writes the inbox rows of events that were handled at the first attempt.
func (in *Inbox) note(tx sqldb.Tx, items []item) {
	if len(items) > 0 {
		in.dialect.note(tx, in.consumer, items, time.Now())
	}
}

// noteOne writes an inbox row that has a longer story.
func (in *Inbox) noteOne(tx sqldb.Tx, i item, attempts int, outcome, reason string) {
	insert(tx, inboxRow(in.consumer, i, time.Now(), attempts, outcome, reason))
	if reason != "" {
		in.eraseReason(tx, i.event)
	}
}

// insert writes an inbox row. Another process on the same SQLite file may have
// noted the same Do event, which had one effect all the same.
func insert(tx sqldb.Tx, row []any) {
	tx.Queue(`INSERT INTO inbox (`+inboxColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (consumer, id, source) DO NOTHING`, row...)
}

func inboxRow(consumer string, i item, now time.Time, attempts int, outcome, reason string) []any {
	e := i.event
	return []any{
		consumer, e.ID, e.Source, e.Type, e.Subject, e.Sequence, e.CorrelationID, e.CausationID, sqldb.Micros(e.Time),
		sqldb.Micros(i.received), sqldb.Micros(now), attempts, outcome, reason,
	}
}

// aside is an event to be put into the table of held ones.
type aside struct {
	item
	status   string
	attempts int
	reason   string
	due      int64
}

// The statuses of a held event.
const (
	statusHeld   = "held"
	statusParked = "parked"
)

// follow makes the rows of events that wait behind another of their subject:
// they are due as soon as they are the first.
func follow(items []item) []aside {
	rows := make([]aside, len(items))
	for i, it := range items {
		rows[i] = aside{item: it, status: statusHeld}
	}
	return rows
}

// failed makes the row of an event whose first attempt failed.
func (in *Inbox) failed(it item, err error, judgement verdict) aside {
	row := aside{item: it, status: statusHeld, attempts: 1, reason: reasonOf(err)}
	if judgement == giveUp || in.options.MaxAttempts <= 1 {
		row.status = statusParked
		return row
	}
	row.due = sqldb.Micros(time.Now().Add(in.delay(1)))
	return row
}

const (
	heldColumns = `consumer, id, source, type, subject, time, content_type, data, correlation_id, causation_id, trace_parent,
		sequence, malformed, status, attempts, reason, due_at, received_at, failed_at, parked_at, replayed`
	heldWidth = 21
)

// hold puts events aside, in this order.
func (in *Inbox) hold(ctx context.Context, tx sqldb.Tx, rows []aside) error {
	if len(rows) == 0 {
		return nil
	}
	now := sqldb.Micros(time.Now())
	args := make([]any, 0, len(rows)*heldWidth)
	for _, row := range rows {
		e := row.event
		data := e.Data
		if data == nil {
			data = []byte{} // no data is not NULL
		}
		var failedAt, parkedAt *int64
		if row.attempts > 0 {
			failedAt = &now
		}
		if row.status == statusParked {
			parkedAt = &now
		}
		args = append(args, in.consumer, e.ID, e.Source, e.Type, e.Subject, sqldb.Micros(e.Time), e.DataContentType, data,
			e.CorrelationID, e.CausationID, e.TraceParent, e.Sequence, row.malformed != nil,
			row.status, row.attempts, row.reason, row.due, sqldb.Micros(row.received), failedAt, parkedAt, e.Replayed)
	}
	_, err := tx.Exec(ctx, `INSERT INTO inbox_held (`+heldColumns+`) VALUES `+sqldb.Values(len(rows), heldWidth)+
		` ON CONFLICT (consumer, id, source) DO NOTHING`, args...)
	if err != nil {
		return fmt.Errorf("put %d events aside: %w", len(rows), err)
	}
	var parked []item
	for _, row := range rows {
		switch {
		case row.status == statusParked:
			parked = append(parked, row.item)
		case row.event.Type == in.options.Forgotten:
			in.hurry(tx, row.event)
		}
	}
	for _, subject := range subjects(parked) {
		in.discardErased(tx, subject)
	}
	return nil
}
