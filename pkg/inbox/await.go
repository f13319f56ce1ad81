package inbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/position"
	"orderflow/pkg/sqldb"
)

// Await waits until the event at p has had its effect here, at most for
// patience, and returns what is known of it at the end of that: position.Parked
// at once, because it may never have one. An event that a person discarded
// counts as applied: it has the effect that it will ever have. So does one of a
// kind that this consumer does not read.
//
// It is right whatever order events arrive in, whoever of several instances
// handled the event, and after [Inbox.Prune]; only an event that comes so late
// that later ones of its subject and type have been forgotten counts as applied
// before it is there. Those who wait are woken by what
// this process handles; what another one handles is looked for twice a second.
func (in *Inbox) Await(ctx context.Context, p position.Position, patience time.Duration) (position.State, error) {
	if !in.reads(p.Name) {
		return position.Applied, nil
	}
	state, err := in.waiting.Await(ctx, p, patience)
	if err != nil {
		return state, fmt.Errorf("wait for %s %d of %s in inbox %s: %w", p.Name, p.Sequence, p.Subject, in.consumer, err)
	}
	return state, nil
}

// reads reports whether events of a name have a handler, in any version.
func (in *Inbox) reads(name string) bool {
	for typ := range in.routes.types {
		if position.NameOf(typ) == name {
			return true
		}
	}
	return slices.ContainsFunc(in.routes.patterns, func(r patternRoute) bool {
		return eventbus.Match(r.pattern, name+".v1") || position.NameOf(r.pattern) == name
	})
}

// Newest is the time of the newest event that this process has handled; zero
// when it has handled none.
func (in *Inbox) Newest() time.Time {
	newest := in.newest.Load()
	if newest == 0 {
		return time.Time{}
	}
	return sqldb.Time(newest)
}

// Busy reports whether this process is handling events at the moment.
func (in *Inbox) Busy() bool { return in.busy.Load() > 0 }

// settled tells those who wait that items were handled, or put aside for good.
func (in *Inbox) settled(items []item) {
	for _, it := range items {
		in.waiting.Wake(it.event.Source, it.event.Subject)
	}
}

// statesAtOnce bounds the positions of one query.
const statesAtOnce = 100

// states is the position.Look of the inbox.
func (in *Inbox) states(ctx context.Context, positions []position.Position) ([]position.State, error) {
	states := make([]position.State, 0, len(positions))
	for some := range slices.Chunk(positions, statesAtOnce) {
		found, err := in.someStates(ctx, some)
		if err != nil {
			return nil, err
		}
		states = append(states, found...)
	}
	return states, nil
}

// someStates asks for each position by index: the event itself; else whether it
// is put aside; else whether its subject had come that far when it was forgotten.
func (in *Inbox) someStates(ctx context.Context, positions []position.Position) ([]position.State, error) {
	args := []any{in.consumer}
	for n, p := range positions {
		args = append(args, n, p.Source, p.Subject, p.Name+".v", p.Sequence)
	}
	rows, err := in.db.Query(ctx, in.statesQuery(len(positions)), args...)
	if err != nil {
		return nil, fmt.Errorf("look for %d events: %w", len(positions), err)
	}
	states := make([]position.State, len(positions))
	_, err = sqldb.Collect(rows, func(r sqldb.Row) (struct{}, error) {
		var n int
		var state string
		err := r.Scan(&n, &state)
		if err == nil {
			states[n] = position.State(state)
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("look for %d events: %w", len(positions), err)
	}
	return states, nil
}

// statesQuery is the question for n positions: number, source, subject, name with
// ".v", and sequence of each, after the consumer.
func (in *Inbox) statesQuery(n int) string {
	values := make([]string, n)
	for i := range values {
		first := 2 + 5*i
		values[i] = fmt.Sprintf("(CAST($%d AS BIGINT), CAST($%d AS TEXT), CAST($%d AS TEXT), CAST($%d AS TEXT), CAST($%d AS BIGINT))",
			first, first+1, first+2, first+3, first+4)
	}
	const (
		inAnyVersion = ` AND substr(type, 1, length(w.name)) = w.name`
		same         = `consumer = $1 AND subject = w.subject AND source = w.source` + inAnyVersion
	)
	return `WITH w (n, source, subject, name, sequence) AS (VALUES ` + strings.Join(values, ", ") + `)
		SELECT w.n, CASE
			WHEN (SELECT 1 FROM inbox i WHERE ` + in.dialect.aboutSubject() + inAnyVersion + ` AND i.sequence = w.sequence LIMIT 1) = 1 THEN 'applied'
			ELSE COALESCE(
				(SELECT status FROM inbox_held h WHERE ` + same + ` AND h.sequence = w.sequence LIMIT 1),
				(SELECT 'applied' FROM inbox_forgotten f WHERE ` + same + ` AND f.sequence >= w.sequence LIMIT 1),
				'missing')
		END FROM w`
}
