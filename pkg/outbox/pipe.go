package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// batch is what moves through a pipe.
type batch struct {
	rows []pending
	done func() // called once these rows and those of all earlier batches are settled; may be nil
}

// pipe takes batches from whoever reads the table through publishing and
// marking. While one batch is being published the next one is read and the one
// before is marked, and no more than that: batches are published one after the
// other, because a bus keeps the order of calls that follow one another only.
//
// Each step is tried until it works, so a batch never leaves the pipe half done;
// what the pipe holds when the process dies is still unsent in the table.
type pipe struct {
	o           *Outbox
	epoch       int64
	read, taken chan batch

	mu      sync.Mutex
	busy    map[int64]struct{} // the rows in the pipe
	batches int
	empty   chan struct{} // closed when the last batch left; nil when nobody waits
}

func newPipe(o *Outbox, epoch int64) *pipe {
	return &pipe{o: o, epoch: epoch, read: make(chan batch), taken: make(chan batch), busy: map[int64]struct{}{}}
}

// put hands a batch over and waits until publishing it begins.
func (p *pipe) put(ctx context.Context, b batch) error {
	p.mu.Lock()
	p.batches++
	for _, row := range b.rows {
		p.busy[row.seq] = struct{}{}
	}
	p.mu.Unlock()
	select {
	case p.read <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pipe) leave(b batch) {
	if b.done != nil {
		b.done()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batches--
	for _, row := range b.rows {
		delete(p.busy, row.seq)
	}
	if p.batches == 0 && p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
}

// inside returns the numbers of the rows in the pipe.
func (p *pipe) inside() []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	seqs := make([]int64, 0, len(p.busy))
	for seq := range p.busy {
		seqs = append(seqs, seq)
	}
	return seqs
}

// drained waits until nothing is in the pipe.
func (p *pipe) drained(ctx context.Context) error {
	p.mu.Lock()
	if p.batches == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.empty == nil {
		p.empty = make(chan struct{})
	}
	empty := p.empty
	p.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pipe) publish(ctx context.Context) error {
	return forward(ctx, p.read, func(b batch) error {
		sent, err := p.send(ctx, b.rows)
		if err != nil {
			return err
		}
		select {
		case p.taken <- batch{rows: sent, done: func() { p.leave(b) }}:
			return nil
		case <-ctx.Done():
			p.last(ctx, sent)
			return ctx.Err()
		}
	})
}

func (p *pipe) mark(ctx context.Context) error {
	return forward(ctx, p.taken, func(b batch) error {
		if len(b.rows) > 0 {
			if err := p.o.insist(ctx, marking, func() error { return p.o.mark(ctx, p.epoch, b.rows) }); err != nil {
				p.last(ctx, b.rows)
				return err
			}
		}
		b.done()
		return nil
	})
}

// last marks rows that the bus has when publishing must end, so that whoever
// publishes next need not send them again. The fence holds for it too.
func (p *pipe) last(ctx context.Context, rows []pending) {
	if len(rows) == 0 || ctx.Err() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = p.o.mark(ctx, p.epoch, rows) // they can be sent again
}

func forward(ctx context.Context, from <-chan batch, do func(batch) error) error {
	for {
		select {
		case b := <-from:
			if err := do(b); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send publishes the rows until the bus has them, and returns those it took.
// When the bus refuses them for what they are, it halves them until the guilty
// one is alone, and parks that.
func (p *pipe) send(ctx context.Context, rows []pending) (sent []pending, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var refusal error
	err = p.o.insist(ctx, publishing, func() error {
		err := p.o.send(ctx, rows)
		if refused(err) {
			refusal, err = err, nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case refusal == nil:
		return rows, nil
	case len(rows) == 1:
		return nil, p.o.insist(ctx, publishing, func() error { return p.o.park(ctx, p.epoch, rows[0], refusal) })
	}
	half := len(rows) / 2
	first, err := p.send(ctx, rows[:half])
	if err != nil {
		return nil, err
	}
	second, err := p.send(ctx, rows[half:])
	return append(first[:len(first):len(first)], second...), err
}

// refused tells an event that will never be taken from a bus that takes none.
func refused(err error) bool {
	return errors.Is(err, eventbus.ErrInvalidEvent) || errors.Is(err, eventbus.ErrUnroutable)
}

func (o *Outbox) send(ctx context.Context, rows []pending) error {
	events := make([]eventbus.Event, len(rows))
	for i, row := range rows {
		events[i] = row.event
	}
	ctx, cancel := context.WithTimeout(ctx, o.options.PublishTimeout)
	defer cancel()
	o.setAsked(time.Now())
	defer o.setAsked(time.Time{})
	if err := o.bus.Publish(ctx, events...); err != nil {
		return fmt.Errorf("publish %d events from the outbox: %w", len(rows), err)
	}
	return nil
}

func (o *Outbox) setAsked(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = at
}

// mark notes that the bus has the rows, and as which announcements: there is one
// who marks, fenced, so these numbers become visible in their order. If this does not commit they are
// published again, under the same ids.
func (o *Outbox) mark(ctx context.Context, epoch int64, rows []pending) error {
	seqs := make([]int64, len(rows))
	for i, row := range rows {
		seqs[i] = row.seq
	}
	statement, args := o.dialect.mark(sqldb.Micros(time.Now()), seqs)
	err := o.ask(ctx, func(ctx context.Context) error {
		return o.db.Update(ctx, func(tx sqldb.Tx) error {
			if err := sqldb.Fence(ctx, tx, leaseName, epoch); err != nil {
				return err
			}
			tx.Queue(statement, args...) // goes with the commit
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("mark %d events as sent: %w", len(rows), err)
	}
	o.sent.Add(int64(len(rows)))
	return nil
}

func (o *Outbox) park(ctx context.Context, epoch int64, row pending, reason error) error {
	err := o.ask(ctx, func(ctx context.Context) error {
		return o.db.Update(ctx, func(tx sqldb.Tx) error {
			if err := sqldb.Fence(ctx, tx, leaseName, epoch); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE outbox SET parked_at = $1, reason = $2 WHERE seq = $3`,
				sqldb.Micros(time.Now()), sqldb.Text(reason.Error()), row.seq)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("park %s: %w", row.event.ID, err)
	}
	o.parked.Add(1)
	o.log.ErrorContext(ctx, "outbox parked an event that the bus refuses",
		"id", row.event.ID, "type", row.event.Type, "subject", row.event.Subject, "error", reason)
	return nil
}
