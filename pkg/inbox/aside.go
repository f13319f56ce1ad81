package inbox

import (
	"context"

	"orderflow/pkg/sqldb"
)

// setAside holds or parks one event whose first attempt failed alone.
func (in *Inbox) setAside(ctx context.Context, it item, reason error, judgement verdict) error {
	_, err := in.putAside(ctx, []aside{in.failed(it, reason, judgement)})
	return err
}

// parkMalformed parks what is no event: nobody could ever handle it.
func (in *Inbox) parkMalformed(ctx context.Context, items []item) error {
	rows := make([]aside, len(items))
	for i, it := range items {
		rows[i] = in.failed(it, it.malformed, giveUp)
	}
	_, err := in.putAside(ctx, rows)
	return err
}

// putAside holds or parks events, and returns how many of them were not known.
func (in *Inbox) putAside(ctx context.Context, rows []aside) (count int, err error) {
	items := make([]item, len(rows))
	for i, row := range rows {
		items[i] = row.item
	}
	var fresh []aside
	err = in.db.Update(ctx, func(tx sqldb.Tx) error {
		fresh = nil
		in.dialect.lock(tx, in.consumer, subjects(items))
		seen, err := in.look(ctx, tx, items)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if seen.place(row.item) != again {
				fresh = append(fresh, row)
			}
		}
		return in.hold(ctx, tx, fresh)
	})
	if err != nil {
		return 0, err
	}
	in.counters.add(Stats{Duplicates: int64(len(rows) - len(fresh))})
	in.tellAside(ctx, fresh)
	return len(fresh), nil
}

// tellAside counts and logs events whose first attempt failed, after the commit.
func (in *Inbox) tellAside(ctx context.Context, rows []aside) {
	for _, row := range rows {
		if row.status == statusParked {
			in.counters.add(Stats{Failed: 1, Parked: 1})
			in.log.ErrorContext(ctx, "event parked", in.about(row.item, row.attempts, row.reason)...)
			in.settled([]item{row.item})
			continue
		}
		in.counters.add(Stats{Failed: 1, Held: 1})
		in.log.WarnContext(ctx, "event held after a failed attempt", in.about(row.item, row.attempts, row.reason)...)
	}
	if len(rows) > 0 {
		in.wakeUp()
	}
}

func (in *Inbox) about(it item, attempts int, reason string) []any {
	return []any{
		"consumer", in.consumer, "id", it.event.ID, "type", it.event.Type, "subject", it.event.Subject,
		"attempts", attempts, "error", reason,
	}
}

// wakeUp never blocks: one token stands for any number of held events.
func (in *Inbox) wakeUp() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}
