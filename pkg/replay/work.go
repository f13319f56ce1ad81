package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// errStopped says that a replay is not to go on as it does: it was paused or
// cancelled, or is to have another rate.
var errStopped = errors.New("stopped")

// errUnannounced is what a replay says while it waits for its end.
var errUnannounced = errors.New("what is committed is still to be announced")

// step is an event on its way to the queue, and where the replay is once the
// queue has it; or only that, behind history that the queue does not take.
type step struct {
	event    *eventbus.Event
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
	steps    chan step
	room     *semaphore.Weighted // for the data of what is read and not sent yet
	began    time.Time           // of this run
	at       int64               // up to where the source is read
	passed   int                 // events that were left out since the last step
	sent     int64               // in this run
	noted    time.Time           // when the checkpoint was last moved
}

const (
	// maxBytes bounds the data of a window, and that of what is read meanwhile.
	maxBytes = 8 << 20
	// passAtOnce is how many events in a row that are left out make a step.
	passAtOnce = 1000
)

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
	w := &run{Replays: r, epoch: epoch, job: job, steps: make(chan step, r.options.Window), room: semaphore.NewWeighted(2 * maxBytes), at: job.Position, began: now, noted: now}
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
		defer close(w.steps)
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
	before := len(events)
	wanted := slices.DeleteFunc(events, func(e eventbus.Event) bool { return !w.wants(e) })
	for i := range wanted {
		if i == len(wanted)-1 {
			w.at = position
		}
		if err := w.hand(ctx, step{&wanted[i], w.at}); err != nil {
			return err
		}
	}
	w.at, w.passed = position, w.passed+before-len(wanted)
	if len(wanted) > 0 || w.passed < passAtOnce && position < w.job.End {
		return nil
	}
	w.passed = 0
	return w.hand(ctx, step{nil, position})
}

// weight is what a step takes of the room. One event has room always.
func (s step) weight() int64 {
	if s.event == nil {
		return 0
	}
	return min(int64(len(s.event.Data)), maxBytes)
}

func (w *run) hand(ctx context.Context, s step) error {
	if err := w.room.Acquire(ctx, s.weight()); err != nil {
		return err
	}
	select {
	case w.steps <- s:
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
	for first := range w.steps {
		window, bytes, position := w.fill(first)
		if len(window) > 0 {
			if err := w.makeRoom(ctx); err != nil {
				return err
			}
			if err := w.bus.Send(ctx, w.job.To, window...); err != nil {
				return err
			}
		}
		w.room.Release(bytes)
		if err := w.checkpoint(ctx, position, int64(len(window))); err != nil {
			return err
		}
		if err := w.slowDown(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// fill adds what has been read already, up to a window; a small one where a rate
// was asked for, so that it is kept within a second too.
func (w *run) fill(next step) (window []eventbus.Event, bytes, position int64) {
	most := w.options.Window
	if w.job.Rate > 0 {
		most = int(min(int64(most), max(1, w.job.Rate/5)))
	}
	for {
		position = next.position
		if next.event != nil {
			window, bytes = append(window, *next.event), bytes+next.weight()
		}
		if len(window) >= most || bytes >= maxBytes {
			return window, bytes, position
		}
		select {
		case more, ok := <-w.steps:
			if !ok {
				return window, bytes, position
			}
			next = more
		default:
			return window, bytes, position
		}
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
