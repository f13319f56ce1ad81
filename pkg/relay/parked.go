package relay

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
)

// The reasons why a person's decision cannot be carried out.
var (
	// ErrNotParked says that no event with the id is parked.
	ErrNotParked = errors.New("no parked event has this id")
	// ErrUntranslatable says that an event still cannot be announced.
	ErrUntranslatable = errors.New("still cannot be announced")
	// ErrBadCursor says that a cursor did not come from [Relay.DeadLetters].
	ErrBadCursor = errors.New("bad cursor")
)

// Parked is a committed event that could not be announced.
type Parked struct {
	ID, Stream, Type, Reason string
	Revision, Position       int64
	ParkedAt                 time.Time

	seq int64
}

func parkedOf(recorded es.Recorded, err error) Parked {
	return Parked{
		ID: recorded.ID.String(), Stream: recorded.Stream, Type: sqldb.Text(recorded.Type), Reason: sqldb.Text(err.Error()),
		Revision: int64(recorded.Revision), Position: int64(recorded.Position), //nolint:gosec // below 2^63
	}
}

// DeadLetters returns a page of the parked events, newest first, at most limit
// of them. cursor is empty for the first page and next of the page before for
// the others; next is empty on the last page.
func (r *Relay) DeadLetters(ctx context.Context, cursor string, limit int) (page []Parked, next string, err error) {
	below := int64(math.MaxInt64)
	if cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(cursor)
		if err == nil {
			below, err = strconv.ParseInt(string(text), 10, 64)
		}
		if err != nil || below <= 0 {
			return nil, "", ErrBadCursor
		}
	}
	page, err = r.parked(ctx, `seq < $2 ORDER BY seq DESC LIMIT $3`, below, limit+1)
	if err != nil || len(page) <= limit {
		return page, "", err
	}
	page = page[:limit]
	return page, base64.RawURLEncoding.EncodeToString(strconv.AppendInt(nil, page[limit-1].seq, 10)), nil
}

// DeadLetter returns one parked event, or [ErrNotParked].
func (r *Relay) DeadLetter(ctx context.Context, id string) (Parked, error) {
	found, err := r.parked(ctx, `id = $2`, id)
	if err != nil {
		return Parked{}, err
	}
	if len(found) == 0 {
		return Parked{}, ErrNotParked
	}
	return found[0], nil
}

// ParkedCount counts the events that wait for a person.
func (r *Relay) ParkedCount(ctx context.Context) (int, error) {
	var n int
	err := r.config.DB.QueryRow(ctx, `SELECT count(*) FROM relay_parked WHERE name = $1`, r.config.Name).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the parked events of relay %s: %w", r.config.Name, err)
	}
	return n, nil
}

func (r *Relay) parked(ctx context.Context, where string, args ...any) ([]Parked, error) {
	rows, err := r.config.DB.Query(ctx, `SELECT seq, id, stream, revision, position, type, reason, parked_at
		FROM relay_parked WHERE name = $1 AND `+where, append([]any{r.config.Name}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("parked events of relay %s: %w", r.config.Name, err)
	}
	return sqldb.Collect(rows, func(row sqldb.Row) (Parked, error) {
		var p Parked
		var at int64
		err := row.Scan(&p.seq, &p.ID, &p.Stream, &p.Revision, &p.Position, &p.Type, &p.Reason, &at)
		p.ParkedAt = sqldb.Time(at)
		return p, err
	})
}

// Redrive reads a parked event again, translates and publishes it; it is parked
// no longer when that worked. The event arrives late, behind later ones of its
// aggregate. Errors: [ErrNotParked]; [ErrUntranslatable] with the reason, which
// may be that the event store has the event no longer; anything else is worth
// another try.
func (r *Relay) Redrive(ctx context.Context, id string) error {
	parked, err := r.DeadLetter(ctx, id)
	if err != nil {
		return err
	}
	recorded, err := r.reread(ctx, parked)
	if err != nil {
		return fmt.Errorf("redrive %s: %w", id, err)
	}
	translated, err := r.translate(ctx, recorded)
	if err != nil && !r.isTemporary(ctx, err) {
		err = fmt.Errorf("%w: %w", ErrUntranslatable, err)
	}
	if err != nil {
		return fmt.Errorf("redrive %s: %w", id, err)
	}
	if len(translated) > 0 {
		err := r.config.Bus.Publish(ctx, translated...)
		if err != nil && refused(err) {
			err = fmt.Errorf("%w: %w", ErrUntranslatable, err)
		}
		if err != nil {
			return fmt.Errorf("redrive %s: %w", id, err)
		}
	}
	return r.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		if err := r.dialect.note(ctx, tx, r.config.Name, sqldb.Micros(time.Now()), translated); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM relay_parked WHERE name = $1 AND id = $2`, r.config.Name, id)
		return err
	})
}

// reread fetches a parked event from its stream.
func (r *Relay) reread(ctx context.Context, parked Parked) (es.Recorded, error) {
	events, err := r.config.Store.ReadStream(ctx, parked.Stream, es.Revision(parked.Revision))
	if err != nil && !errors.Is(err, es.ErrNotFound) {
		return es.Recorded{}, err
	}
	if len(events) == 0 || int64(events[0].Revision) != parked.Revision {
		return es.Recorded{}, fmt.Errorf("%w: event %d of %s is not in the event store any more",
			ErrUntranslatable, parked.Revision, parked.Stream)
	}
	return events[0], nil
}

// Discard gives a parked event up: it will never be announced.
func (r *Relay) Discard(ctx context.Context, id string) error {
	return r.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM relay_parked WHERE name = $1 AND id = $2`, r.config.Name, id)
		if err == nil && n == 0 {
			return ErrNotParked
		}
		return err
	})
}

// Erase removes what was noted of why events of a stream could not be announced:
// such a reason may quote them. The events stay parked, for a person to decide
// about. Nothing else that a relay keeps is taken from an event's data.
func (r *Relay) Erase(ctx context.Context, stream string) error {
	err := r.config.DB.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE relay_parked SET reason = 'erased' WHERE name = $1 AND stream = $2`, r.config.Name, stream)
		return err
	})
	if err != nil {
		return fmt.Errorf("erase the reasons of %s from relay %s: %w", stream, r.config.Name, err)
	}
	return nil
}
