package outbox

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"orderflow/pkg/outbox/internal/capture"
	"orderflow/pkg/sqldb"
)

// sweepEach is after how many times [Options.Poll] the table is searched for
// what the stream does not bring.
const sweepEach = 25

// following is the state of one stream.
type following struct {
	*capturing
	stream *capture.Stream
	rows   []pending
	xids   []uint32
	end    capture.Position // up to which everything was delivered, with rows

	missed       []int64          // rows that were unsent, and that the stream had not brought yet
	missedBefore capture.Position // which the stream must have passed to say that it never will
}

// follow publishes what the stream brings until that ends.
func (c *capturing) follow(ctx context.Context, stream *capture.Stream) error {
	f := &following{capturing: c, stream: stream}
	sweep := time.NewTicker(sweepEach * c.o.options.Poll)
	defer sweep.Stop()
	for {
		var err error
		select {
		case change, ok := <-stream.Changes():
			if !ok {
				return errors.Join(ctx.Err(), stream.Err())
			}
			if err = f.collect(change); err == nil {
				err = f.pass(ctx)
			}
		case <-c.o.wake: // somebody redrives
			err = f.sweep(ctx)
		case <-sweep.C:
			err = f.sweep(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// collect takes what has come, up to a window.
func (f *following) collect(change capture.Change) error {
	f.rows, f.xids = nil, f.xids[:0]
	for ok := true; ok; {
		if change.Row == nil {
			f.end = change.End
		} else {
			row, err := decode(change.Row)
			if err != nil {
				return err
			}
			f.rows = append(f.rows, row)
			if n := len(f.xids); n == 0 || f.xids[n-1] != change.XID {
				f.xids = append(f.xids, change.XID)
			}
			if len(f.rows) == f.o.options.Window {
				return nil
			}
		}
		select {
		case change, ok = <-f.stream.Changes():
		default:
			ok = false
		}
	}
	return nil
}

// pass publishes what was collected, and what was missed before. The position
// is confirmed to the server once everything up to it is settled in the table.
func (f *following) pass(ctx context.Context) error {
	rows, err := f.stillUnsent(ctx)
	if err != nil {
		return err
	}
	end := f.end
	if err := f.p.put(ctx, batch{rows: rows, done: func() { f.stream.Confirm(end) }}); err != nil {
		return err
	}
	if len(f.missed) == 0 || f.end < f.missedBefore {
		return nil
	}
	in, list := f.o.dialect.in(1, f.missed)
	busy, inside := f.o.dialect.in(2, f.p.inside())
	f.missed = nil
	rows, err = f.o.rows(ctx, `WHERE `+unsent+` AND seq `+in+` AND NOT seq `+busy+` ORDER BY seq`, append(list, inside...)...)
	if err != nil || len(rows) == 0 {
		return err
	}
	return f.p.put(ctx, batch{rows: rows})
}

// stillUnsent leaves out the rows that were settled before: polled while the
// stream began, or delivered by the stream a second time. It waits until others
// see the rows, so that nothing is announced that a failover could undo while
// its synchronous standby has not got it.
func (f *following) stillUnsent(ctx context.Context) ([]pending, error) {
	if len(f.rows) == 0 {
		return nil, nil
	}
	seqs := make([]int64, len(f.rows))
	for i, row := range f.rows {
		seqs[i] = row.seq
	}
	inside := f.p.inside() // asked for first: what leaves the pipe meanwhile is settled in the table
	var unsettled map[int64]bool
	err := f.o.insist(ctx, reading, func() error {
		return f.o.ask(ctx, func(ctx context.Context) (err error) {
			unsettled, err = f.look(ctx, seqs)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	for _, seq := range inside {
		unsettled[seq] = false
	}
	var rows []pending
	for _, row := range f.rows {
		if unsettled[row.seq] {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// look asks the table which of the rows are to be published.
func (f *following) look(ctx context.Context, seqs []int64) (unsettled map[int64]bool, err error) {
	for final := false; ; {
		unsettled, err = f.lookOnce(ctx, seqs)
		if err != nil || len(unsettled) == len(seqs) || final {
			return unsettled, err
		}
		// Rows that are not there were removed, or nobody but the stream sees
		// them yet.
		n, err := f.slot.Unfinished(ctx, f.xids)
		if err != nil {
			return nil, err
		}
		if final = n == 0; final {
			continue // what is missing now is gone
		}
		if err := pause(ctx, time.Millisecond, nil); err != nil {
			return nil, err
		}
	}
}

func (f *following) lookOnce(ctx context.Context, seqs []int64) (map[int64]bool, error) {
	in, list := f.o.dialect.in(1, seqs)
	rows, err := f.o.db.Query(ctx, `SELECT seq, `+unsent+` FROM outbox WHERE seq `+in, list...)
	if err != nil {
		return nil, err
	}
	unsettled := make(map[int64]bool, len(seqs))
	_, err = sqldb.Collect(rows, func(row sqldb.Row) (seq int64, err error) {
		var is bool
		err = row.Scan(&seq, &is)
		unsettled[seq] = is
		return seq, err
	})
	return unsettled, err
}

// sweep looks for rows that are unsent although the stream may never bring
// them: those of a redrive, which changes a row and inserts none.
func (f *following) sweep(ctx context.Context) error {
	if len(f.missed) > 0 {
		f.stream.Hurry()
		return nil
	}
	busy, inside := f.o.dialect.in(2, f.p.inside())
	return f.o.insist(ctx, reading, func() error {
		return f.o.ask(ctx, func(ctx context.Context) error {
			rows, err := f.o.db.Query(ctx, `SELECT seq FROM outbox WHERE `+unsent+` AND NOT seq `+busy+` ORDER BY seq LIMIT $1`,
				append([]any{f.o.options.Window}, inside...)...)
			if err != nil {
				return err
			}
			f.missed, err = sqldb.Collect(rows, func(row sqldb.Row) (seq int64, err error) { return seq, row.Scan(&seq) })
			if err != nil || len(f.missed) == 0 {
				return err
			}
			f.stream.Hurry()
			f.missedBefore, err = f.slot.Now(ctx)
			return err
		})
	})
}

// columns are what a row is made of, in the order of scanPending.
func columns() []string { return strings.Split("seq, "+eventColumns, ", ") }

// decode is scanPending for the stream, which brings text.
func decode(row [][]byte) (pending, error) {
	var p pending
	var at int64
	e := &p.event
	text := []*string{1: &e.ID, &e.Source, &e.Type, &e.Subject, 6: &e.DataContentType, 8: &e.CorrelationID, &e.CausationID, &e.TraceParent}
	for i, to := range text {
		if to != nil {
			*to = string(row[i])
		}
	}
	var problems [4]error
	for i, number := range []struct {
		from []byte
		to   *int64
	}{{row[0], &p.seq}, {row[5], &at}, {row[11], &e.Sequence}} {
		*number.to, problems[i] = strconv.ParseInt(string(number.from), 10, 64)
	}
	e.Time = sqldb.Time(at)
	e.Data, problems[3] = bytea(row[7])
	if err := errors.Join(problems[:]...); err != nil {
		return pending{}, fmt.Errorf("row %s of the outbox: %w", row[0], err)
	}
	return p, nil
}

// bytea reads the form of bytea_output = hex, which the stream asks for.
func bytea(text []byte) ([]byte, error) {
	digits, ok := strings.CutPrefix(string(text), `\x`)
	if !ok {
		return nil, errors.New(`data that does not begin with \x`)
	}
	return hex.DecodeString(digits)
}
