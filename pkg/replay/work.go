package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// errStopped says that a replay is not to go on as it does: it was paused or
// cancelled, or is to have another rate.
var errStopped = errors.New("stopped")

// errUnannounced is what a replay says while it waits for its end.
var errUnannounced = errors.New("what is committed is still to be announced")

// page is a piece of the history on its way to the queue.
type page struct {
	events   []eventbus.Event
	position int64
}

// run is one time of working on a replay:
//
//	source ──▶ read: what the queue takes ──▶ send, wait for the confirms, move the checkpoint
//
// While one window is being sent the next one is read.
type run struct {
	*Replays

	epoch    int64
	job      Job
	patterns []string
	pages    chan page
	began    time.Time // of this run
	sent     int64     // in this run
	noted    time.Time // when the checkpoint was last moved
}

// maxBytes bounds the payloads of a window.
const maxBytes = 8 << 20

// work brings a replay to its end, or returns why that cannot be done now.
func (r *Replays) work(ctx context.Context, epoch int64, job Job) error {
	ctx, stop := context.WithCancelCause(ctx)
	var watching errgroup.Group
	watching.Go(func() error { r.watch(ctx, job, stop); return nil })
	defer func() {
		stop(nil)
		_ = watching.Wait()
	}()
	err := r.follow(ctx, epoch, job)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errStopped) {
		return cause
	}
	return err
}

func (r *Replays) follow(ctx context.Context, epoch int64, job Job) error {
	now := time.Now()
	w := &run{Replays: r, epoch: epoch, job: job, pages: make(chan page, 1), began: now, noted: now}
	var err error
	if w.patterns, err = r.bus.Patterns(ctx, job.To); err != nil {
		return err
	}
	if job.End < 0 {
		if w.job.End, err = w.end(ctx); err != nil {
			return err
		}
		if err := w.checkpoint(ctx, w.job.Position, 0); err != nil {
			return err
		}
	}
	stages, inside := errgroup.WithContext(ctx)
	stages.Go(func() error {
		defer close(w.pages)
		return r.source.Read(inside, job.Position, w.job.End, w.read)
	})
	stages.Go(func() error { return w.send(inside) })
	if err := stages.Wait(); err != nil {
		return err
	}
	err = r.fenced(ctx, epoch, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE replay SET status = 'done', reason = '', position = ends, updated_at = $2
			WHERE id = $1 AND status = 'running'`, job.ID, sqldb.Micros(time.Now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("end replay %s: %w", job.ID, err)
	}
	r.log.InfoContext(ctx, "replay is done", "to", job.To, "sent", w.job.Sent+w.sent)
	return nil
}

// end waits until everything that is committed now is announced, and returns
// where that is. That it waits is shown when it takes long.
func (w *run) end(ctx context.Context) (int64, error) {
	told := time.AfterFunc(patient, func() {
		_ = w.note(ctx, w.epoch, w.job.ID, errUnannounced) // which is only for people
	})
	defer told.Stop()
	return w.source.End(ctx)
}

// watch stops the work when somebody has paused or cancelled the replay, or has
// asked for another rate: then it is taken up again with that.
func (r *Replays) watch(ctx context.Context, working Job, stop context.CancelCauseFunc) {
	for pause(ctx, r.options.Poll, nil) {
		if job, err := r.Job(ctx, working.ID); err == nil && (job.Status != Running || job.Rate != working.Rate) {
			stop(errStopped)
		}
	}
}

// read keeps what the consumer wants and hands it on.
func (w *run) read(ctx context.Context, events []eventbus.Event, position int64) error {
	events = slices.DeleteFunc(events, func(e eventbus.Event) bool { return !w.wants(e) })
	select {
	case w.pages <- page{events, position}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wants leaves out commands: they asked for something then, and asking again is
// not telling what happened.
func (w *run) wants(e eventbus.Event) bool {
	if e.Time.Before(w.job.Since) || e.IsCommand() {
		return false
	}
	return w.patterns == nil || slices.ContainsFunc(w.patterns, func(pattern string) bool { return eventbus.Match(pattern, e.Type) })
}

// send sends window after window. The checkpoint moves over what is confirmed.
func (w *run) send(ctx context.Context) error {
	for next := range w.pages {
		for part := range w.windows(w.fill(next)) {
			if len(part.events) > 0 {
				if err := w.makeRoom(ctx); err != nil {
					return err
				}
				if err := w.bus.Send(ctx, w.job.To, part.events...); err != nil {
					return err
				}
			}
			if err := w.checkpoint(ctx, part.position, int64(len(part.events))); err != nil {
				return err
			}
			if err := w.slowDown(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// fill adds pages that have been read already, up to a window.
func (w *run) fill(p page) page {
	for len(p.events) < w.options.Window && size(p.events) < maxBytes {
		select {
		case next, ok := <-w.pages:
			if !ok {
				return p
			}
			p.events, p.position = append(p.events, next.events...), next.position
		default:
			return p
		}
	}
	return p
}

func size(events []eventbus.Event) (bytes int) {
	for _, e := range events {
		bytes += len(e.Data)
	}
	return bytes
}

// windows divides a page where a rate was asked for, so that it is kept within a
// second too. The position belongs to the end of the page: a part before does
// not move it.
func (w *run) windows(p page) func(yield func(page) bool) {
	most := w.options.Window
	if w.job.Rate > 0 {
		most = int(min(int64(most), max(1, w.job.Rate/5)))
	}
	return func(yield func(page) bool) {
		before := w.job.Position
		for len(p.events) > most {
			if !yield(page{p.events[:most], before}) {
				return
			}
			p.events = p.events[most:]
		}
		yield(p)
	}
}

// patient is how long the consumer may take before the replay says that it waits.
const patient = 2 * time.Second

// makeRoom waits while too many events are in the queue: live ones have to wait
// behind them.
func (w *run) makeRoom(ctx context.Context) error {
	told := time.Now().Add(patient)
	for {
		depth, err := w.bus.Depth(ctx, w.job.To)
		if err != nil {
			return err
		}
		if depth < w.options.Backlog {
			return nil
		}
		if !told.IsZero() && time.Now().After(told) {
			told = time.Time{}
			err := w.note(ctx, w.epoch, w.job.ID, fmt.Errorf("%d events wait in the queue for the consumer", depth))
			if err != nil {
				return err
			}
		}
		if !pause(ctx, 20*time.Millisecond, nil) {
			return ctx.Err()
		}
	}
}

// checkpoint notes how far the queue has everything.
func (w *run) checkpoint(ctx context.Context, position, sent int64) error {
	now := time.Now()
	err := w.fenced(ctx, w.epoch, func(tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE replay SET position = $2, ends = $3, sent = sent + $4, worked = worked + $5, reason = '', updated_at = $6
			WHERE id = $1 AND status = 'running'`,
			w.job.ID, position, w.job.End, sent, now.Sub(w.noted).Microseconds(), sqldb.Micros(now))
		if err == nil && n == 0 {
			err = errStopped
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint of replay %s: %w", w.job.ID, err)
	}
	w.noted, w.job.Position = now, position
	w.sent += sent
	return nil
}

// slowDown keeps to the rate that was asked for, since this run began.
func (w *run) slowDown(ctx context.Context) error {
	if w.job.Rate == 0 {
		return nil
	}
	due := w.began.Add(time.Duration(float64(w.sent) / float64(w.job.Rate) * float64(time.Second)))
	if !pause(ctx, time.Until(due), nil) {
		return ctx.Err()
	}
	return nil
}
