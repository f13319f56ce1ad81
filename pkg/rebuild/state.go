package rebuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
)

// ErrNotNow says that what is asked for does not fit the state of the rebuild.
var ErrNotNow = errors.New("not possible now")

// Status is where a rebuild is in its life; see the package.
type Status string

// The statuses. None is that of a model that was never rebuilt.
const (
	None       Status = "none"
	Preparing  Status = "preparing"
	Filling    Status = "filling"
	Same       Status = "same"
	Differs    Status = "differs"
	Removing   Status = "removing"
	Swapped    Status = "swapped"
	Cancelling Status = "cancelling"
	Cancelled  Status = "cancelled"
)

// Ask is what is to be done with a new model once it has everything.
type Ask string

// What can be asked for.
const (
	Nothing Ask = ""
	Check   Ask = "check"  // compare it with the live one
	Swap    Ask = "swap"   // and put it in its place if they are the same
	Anyway  Ask = "anyway" // or if they are not
)

// State is what is known about the rebuild of a model.
type State struct {
	Status Status
	Asked  Ask
	// Reason is what it waits for at the moment, or empty.
	Reason string
	// Compared counts the rows of the last comparison, and Differences are what
	// it found, the first 1,000.
	Compared           int64
	Differences        []Difference
	BegunAt, UpdatedAt time.Time
}

// open says that there is a new model beside the live one.
func (s State) open() bool {
	return s.Status == Preparing || s.Status == Filling || s.Status == Same || s.Status == Differs
}

// State returns the state of the rebuild.
func (r *Rebuild) State(ctx context.Context) (State, error) {
	s, err := r.load(ctx, r.live)
	if err != nil {
		return s, fmt.Errorf("state of the rebuild: %w", err)
	}
	return s, nil
}

// Begin begins to make a new model beside the live one, or goes on with the one
// there is.
func (r *Rebuild) Begin(ctx context.Context) (State, error) {
	return r.change(ctx, func(s *State) error {
		switch {
		case s.open():
			return nil
		case s.Status == Removing || s.Status == Cancelling:
			return fmt.Errorf("%w: the one before is being removed", ErrNotNow)
		}
		*s = State{Status: Preparing, BegunAt: time.Now()}
		return nil
	})
}

// Finish says what is to be done once the new model has everything. History must
// have been replayed to its queue by then: what is still on its way cannot be
// known here.
func (r *Rebuild) Finish(ctx context.Context, ask Ask) (State, error) {
	return r.change(ctx, func(s *State) error {
		if !s.open() {
			return fmt.Errorf("%w: no rebuild has begun", ErrNotNow)
		}
		s.Asked = ask
		if s.Status != Preparing {
			s.Status = Filling
		}
		return nil
	})
}

// Cancel gives the new model up.
func (r *Rebuild) Cancel(ctx context.Context) (State, error) {
	return r.change(ctx, func(s *State) error {
		if !s.open() && s.Status != Cancelling && s.Status != Cancelled {
			return fmt.Errorf("%w: no rebuild has begun", ErrNotNow)
		}
		if s.open() {
			s.Status, s.Reason = Cancelling, ""
		}
		return nil
	})
}

func (r *Rebuild) change(ctx context.Context, how func(*State) error) (State, error) {
	var s State
	err := r.live.Update(ctx, func(tx sqldb.Tx) error {
		// The row is locked before it is read: changes come one after the other.
		_, err := tx.Exec(ctx, `INSERT INTO rebuild (name, status, asked, reason, compared, differences, begun_at, updated_at)
			VALUES ($1, 'none', '', '', 0, '[]', 0, 0) ON CONFLICT (name) DO UPDATE SET updated_at = rebuild.updated_at`, r.model.Name)
		if err != nil {
			return err
		}
		if s, err = r.load(ctx, tx); err != nil {
			return err
		}
		if err := how(&s); err != nil {
			return err
		}
		tx.AfterCommit(r.wakeUp)
		return r.save(ctx, tx, &s)
	})
	if err != nil {
		return State{}, fmt.Errorf("rebuild of %s: %w", r.model.Name, err)
	}
	return s, nil
}

func (r *Rebuild) load(ctx context.Context, q sqldb.Querier) (State, error) {
	var s State
	var differences string
	var begun, updated int64
	err := q.QueryRow(ctx, `SELECT status, asked, reason, compared, differences, begun_at, updated_at FROM rebuild WHERE name = $1`, r.model.Name).
		Scan(&s.Status, &s.Asked, &s.Reason, &s.Compared, &differences, &begun, &updated)
	if errors.Is(err, sqldb.ErrNoRows) {
		return State{Status: None}, nil
	}
	if err != nil {
		return State{}, err
	}
	s.BegunAt, s.UpdatedAt = sqldb.Time(begun), sqldb.Time(updated)
	return s, json.Unmarshal([]byte(differences), &s.Differences)
}

func (r *Rebuild) save(ctx context.Context, tx sqldb.Tx, s *State) error {
	if s.Differences == nil {
		s.Differences = []Difference{}
	}
	differences, err := json.Marshal(s.Differences)
	if err != nil {
		return err
	}
	s.UpdatedAt = time.Now()
	_, err = tx.Exec(ctx, `UPDATE rebuild SET status = $2, asked = $3, reason = $4, compared = $5, differences = $6, begun_at = $7, updated_at = $8
		WHERE name = $1`, r.model.Name, string(s.Status), string(s.Asked), sqldb.Text(s.Reason), s.Compared, sqldb.Text(string(differences)),
		sqldb.Micros(s.BegunAt), sqldb.Micros(s.UpdatedAt))
	return err
}
