package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// The reasons why a person's wish cannot be carried out.
var (
	// ErrUnknown says that there is no replay with the id.
	ErrUnknown = errors.New("no such replay")
	// ErrOver says that a replay has ended, so nothing can be changed about it.
	ErrOver = errors.New("the replay is over")
	// ErrElsewhere says that another part of the history is being told to the
	// queue. Only when that has ended can this one begin.
	ErrElsewhere = errors.New("a replay that begins elsewhere is open for this queue")
	// ErrInvalid says that a wish makes no sense.
	ErrInvalid = errors.New("invalid replay")
)

// Status is where a replay is in its life; see the package.
type Status string

// The statuses.
const (
	Running   Status = "running"
	Paused    Status = "paused"
	Done      Status = "done"
	Cancelled Status = "cancelled"
	Failed    Status = "failed"
)

// Wish is what a replay should do.
type Wish struct {
	// To is the name of the queue, which is that of its service.
	To string
	// After is the position of the source behind which it begins; 0 is the
	// beginning.
	After int64
	// Since leaves out what happened before, by the time of the event; zero
	// leaves out nothing.
	Since time.Time
	// Rate is the most events a second; 0 is as fast as it goes.
	Rate int64
}

// Job is one replay.
type Job struct {
	ID string
	Wish
	Status Status
	// Reason is what it waits for at the moment, or why it failed; or empty.
	Reason string
	// Position is up to where the queue has everything, between After and End.
	Position int64
	// End is where it is done; negative while that is not known yet.
	End int64
	// Sent counts the events that the bus has confirmed.
	Sent int64
	// Worked is the time spent on it so far.
	Worked               time.Duration
	CreatedAt, UpdatedAt time.Time
}

// Progress is the part of the way that it has gone, from 0 to 1. Positions are
// not dense, so it says less than Sent does about how much that was.
func (j Job) Progress() float64 {
	switch {
	case j.Status == Done:
		return 1
	case j.End <= j.After: // not known yet, or nothing to do
		return 0
	}
	return min(1, float64(j.Position-j.After)/float64(j.End-j.After))
}

// PerSecond is how many events it has sent a second of work, so far.
func (j Job) PerSecond() float64 {
	if j.Worked <= 0 {
		return 0
	}
	return float64(j.Sent) / j.Worked.Seconds()
}

// Left is how long it still takes if it goes on as it did; 0 when that cannot be
// said yet.
func (j Job) Left() time.Duration {
	gone := j.Progress()
	if gone <= 0 {
		return 0
	}
	return time.Duration(float64(j.Worked) * (1 - gone) / gone)
}

// Begin begins a replay to a queue, or goes on with the one that is open for it,
// at the rate that is wished now. It returns eventbus.ErrNoQueue when there is no
// such queue, [ErrElsewhere] when the open one began elsewhere in the history, and
// [ErrInvalid]; nothing has been done then.
func (r *Replays) Begin(ctx context.Context, w Wish) (Job, error) {
	if (eventbus.Queue{Name: w.To}).Reserved() || w.To == "" || w.After < 0 || w.Rate < 0 {
		return Job{}, fmt.Errorf("replay to %q: %w", w.To, ErrInvalid)
	}
	if _, err := r.bus.Patterns(ctx, w.To); err != nil {
		return Job{}, fmt.Errorf("replay to %q: %w", w.To, err)
	}
	now, since := sqldb.Micros(time.Now()), int64(0)
	if !w.Since.IsZero() {
		since = sqldb.Micros(w.Since)
	}
	var job Job
	err := r.db.Update(ctx, func(tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO replay
				(id, queue, since, rate, begins, position, ends, status, reason, sent, worked, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $5, -1, 'running', '', 0, 0, $6, $6)
			ON CONFLICT (queue) WHERE status IN ('running', 'paused') DO UPDATE
			SET status = 'running', rate = excluded.rate, updated_at = excluded.updated_at
			WHERE replay.begins = excluded.begins AND replay.since = excluded.since`,
			uuid.NewString(), w.To, since, w.Rate, w.After, now)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrElsewhere
		}
		job, err = one(ctx, tx, `WHERE queue = $1 AND status = 'running'`, w.To)
		tx.AfterCommit(r.wakeUp)
		return err
	})
	if err != nil {
		return Job{}, fmt.Errorf("replay to %q: %w", w.To, err)
	}
	return job, nil
}

// Pause stops a replay for now.
func (r *Replays) Pause(ctx context.Context, id string) (Job, error) {
	return r.change(ctx, id, Paused, Running)
}

// Resume goes on with a replay that is paused, or has failed.
func (r *Replays) Resume(ctx context.Context, id string) (Job, error) {
	return r.change(ctx, id, Running, Paused, Failed)
}

// Cancel ends a replay for good. What is in the queue stays there.
func (r *Replays) Cancel(ctx context.Context, id string) (Job, error) {
	return r.change(ctx, id, Cancelled, Running, Paused, Failed)
}

// change moves a replay to a status. One that has it already stays as it is; one
// that has ended otherwise is ErrOver.
func (r *Replays) change(ctx context.Context, id string, to Status, from ...Status) (Job, error) {
	var job Job
	err := r.db.Update(ctx, func(tx sqldb.Tx) error {
		args := []any{id, string(to), sqldb.Micros(time.Now())}
		for _, status := range from {
			args = append(args, string(status))
		}
		n, err := tx.Exec(ctx, `UPDATE replay SET status = $2, reason = '', updated_at = $3
			WHERE id = $1 AND status IN `+sqldb.List(4, len(from)), args...)
		if err != nil {
			return err
		}
		if job, err = one(ctx, tx, `WHERE id = $1`, id); err != nil {
			return err
		}
		if n == 0 && job.Status != to {
			return fmt.Errorf("%w: it is %s", ErrOver, job.Status)
		}
		tx.AfterCommit(r.wakeUp)
		return nil
	})
	if sqldb.IsUniqueViolation(err) {
		err = fmt.Errorf("%w: another one to this queue is open", ErrOver)
	}
	if err != nil {
		return Job{}, fmt.Errorf("replay %s: %w", id, err)
	}
	return job, nil
}

// Jobs returns the replays, the newest first, at most 100.
func (r *Replays) Jobs(ctx context.Context) ([]Job, error) {
	jobs, err := some(ctx, r.db, `ORDER BY created_at DESC, id LIMIT 100`)
	if err != nil {
		return nil, fmt.Errorf("list replays: %w", err)
	}
	return jobs, nil
}

// Job returns one replay, or [ErrUnknown].
func (r *Replays) Job(ctx context.Context, id string) (Job, error) {
	job, err := one(ctx, r.db, `WHERE id = $1`, id)
	if err != nil {
		return Job{}, fmt.Errorf("replay %s: %w", id, err)
	}
	return job, nil
}

func one(ctx context.Context, q sqldb.Querier, where string, args ...any) (Job, error) {
	jobs, err := some(ctx, q, where, args...)
	if err == nil && len(jobs) == 0 {
		err = ErrUnknown
	}
	if err != nil {
		return Job{}, err
	}
	return jobs[0], nil
}

func some(ctx context.Context, q sqldb.Querier, where string, args ...any) ([]Job, error) {
	rows, err := q.Query(ctx, `SELECT id, queue, since, rate, begins, position, ends, status, reason, sent, worked, created_at, updated_at
		FROM replay `+where, args...)
	if err != nil {
		return nil, err
	}
	return sqldb.Collect(rows, func(row sqldb.Row) (j Job, err error) {
		var since, worked, created, updated int64
		err = row.Scan(&j.ID, &j.To, &since, &j.Rate, &j.After, &j.Position, &j.End, &j.Status, &j.Reason, &j.Sent, &worked, &created, &updated)
		if since != 0 {
			j.Since = sqldb.Time(since)
		}
		j.Worked, j.CreatedAt, j.UpdatedAt = time.Duration(worked)*time.Microsecond, sqldb.Time(created), sqldb.Time(updated)
		return j, err
	})
}
