package outbox

import (
	"context"
	"errors"
	"time"

	"orderflow/pkg/outbox/internal/capture"
	"orderflow/pkg/sqldb"
)

// capturing reads the table by change data capture.
//
//	no slot, or a lost one      poll, while the slot is being made
//	slot there, not streaming   start the stream; poll what is unsent and was committed before; then follow the stream
//	streaming                   publish what comes, after asking the table whether it is still to be published
//	trouble                     poll until it is time to try again
//
// The table stays the truth. That is why a slot can be lost, dropped or made at
// any time, and why nothing hangs on where exactly a slot begins.
type capturing struct {
	o    *Outbox
	p    *pipe
	slot *capture.Slot
}

func (postgres) capture(ctx context.Context, o *Outbox, p *pipe) error {
	defer o.streaming.Store(false)
	failures := 0
	for {
		c := &capturing{o: o, p: p}
		began := time.Now()
		err := c.once(ctx)
		o.streaming.Store(false)
		if ctx.Err() != nil || errors.Is(err, sqldb.ErrFenced) {
			return errors.Join(ctx.Err(), err)
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		failures++
		o.failures.Add(1)
		o.report(ctx, capturingRows, err)
		wait := o.backoff(failures)
		if errors.Is(err, capture.ErrRefused) {
			// Another way of reading than the one asked for would hide it.
			err = pause(ctx, wait, nil)
		} else {
			err = c.pollWhile(ctx, func(ctx context.Context) error { return pause(ctx, wait, nil) })
		}
		if ctx.Err() != nil || errors.Is(err, sqldb.ErrFenced) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// once goes all the way from finding the slot to following it, until that fails.
func (c *capturing) once(ctx context.Context) error {
	o := c.o
	err := o.ask(ctx, func(ctx context.Context) (err error) {
		c.slot, err = o.slot(ctx)
		return err
	})
	if err != nil {
		return err
	}
	var state capture.State
	if err := o.ask(ctx, func(ctx context.Context) (err error) {
		if err = c.slot.Check(ctx); err == nil {
			state, err = c.slot.Look(ctx)
		}
		return err
	}); err != nil {
		return err
	}
	if !state.Exists || state.Lost {
		if state.Lost {
			o.log.WarnContext(ctx, "the replication slot of the outbox was lost: polling while another one is made; nothing is missing", "slot", c.slot.Name())
		}
		if err := c.pollWhile(ctx, c.make); err != nil {
			return err
		}
	}
	stream, err := c.slot.Stream(ctx, columns(), o.options.Window)
	if err != nil {
		return c.unreadable(ctx, err)
	}
	defer stream.Close()
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	o.report(ctx, capturingRows, nil)
	o.streaming.Store(true)
	err = c.follow(ctx, stream)
	// What came is settled before the table is asked again.
	return errors.Join(c.unreadable(ctx, err), c.p.drained(ctx))
}

// makeWithin bounds making a slot, which waits for the transactions that are running.
const makeWithin = 5 * time.Minute

func (c *capturing) make(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, makeWithin)
	defer cancel()
	return c.slot.Make(ctx)
}

// unreadable drops a slot that cannot be read because its publication, or the
// table under it, was made anew: the next attempt makes another one.
func (c *capturing) unreadable(ctx context.Context, err error) error {
	if !capture.IsStale(err) {
		return err
	}
	return errors.Join(err, c.o.ask(ctx, c.slot.Drop))
}

// pollWhile polls until something is through, and returns what that did. What
// was polled is settled then.
func (c *capturing) pollWhile(ctx context.Context, something func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	through := make(chan struct{})
	var result error
	go func() {
		defer close(through)
		result = something(ctx)
	}()
	if err := c.o.poll(ctx, c.p, through); err != nil {
		cancel()
		<-through
		return err
	}
	if err := c.p.drained(ctx); err != nil {
		return err
	}
	return result
}

// catchUp publishes by polling what was committed before, so that nothing that
// the stream brings can leave before it. Rows that commit meanwhile can come
// both ways: the table tells.
func (c *capturing) catchUp(ctx context.Context) error {
	var last int64
	err := c.o.insist(ctx, reading, func() error {
		return c.o.ask(ctx, func(ctx context.Context) error {
			return c.o.db.QueryRow(ctx, `SELECT COALESCE(max(seq), 0) FROM outbox WHERE `+unsent).Scan(&last)
		})
	})
	for err == nil {
		var n int
		if n, err = c.o.pollOnce(ctx, c.p, last); n < c.o.options.Window {
			break
		}
	}
	if err != nil {
		return err
	}
	return c.p.drained(ctx)
}
