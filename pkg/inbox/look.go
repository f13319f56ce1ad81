package inbox

import (
	"context"
	"fmt"
	"slices"

	"orderflow/pkg/sqldb"
)

// seen is what the database knows about the events of a batch.
type seen struct {
	keys map[key]bool    // handled, held or parked before
	held map[string]bool // subjects with a held event
}

type place int

const (
	ready place = iota
	again
	heldBehind
)

// place decides about the next item of a batch and remembers it.
func (s seen) place(i item) place {
	if s.keys[i.key()] {
		return again
	}
	s.keys[i.key()] = true
	if s.held[i.event.Subject] {
		return heldBehind
	}
	return ready
}

// look asks one question about the ids of the items and one about their subjects.
func (in *Inbox) look(ctx context.Context, q sqldb.Querier, items []item) (seen, error) {
	s := seen{keys: map[key]bool{}, held: map[string]bool{}}
	args := append(make([]any, 0, 1+len(items)), in.consumer)
	for _, i := range items {
		args = append(args, i.event.ID)
	}
	list := sqldb.List(2, len(items))
	rows, err := q.Query(ctx, `SELECT id, source FROM inbox WHERE consumer = $1 AND id IN `+list+`
		UNION ALL SELECT id, source FROM inbox_held WHERE consumer = $1 AND id IN `+list, args...)
	if err != nil {
		return seen{}, fmt.Errorf("look for known events: %w", err)
	}
	keys, err := sqldb.Collect(rows, func(r sqldb.Row) (k key, err error) { return k, r.Scan(&k.id, &k.source) })
	if err != nil {
		return seen{}, fmt.Errorf("look for known events: %w", err)
	}
	for _, k := range keys {
		s.keys[k] = true
	}
	args = append(args[:0], in.consumer)
	among := subjects(items)
	for _, subject := range among {
		args = append(args, subject)
	}
	rows, err = q.Query(ctx, `SELECT DISTINCT subject FROM inbox_held
		WHERE consumer = $1 AND status = 'held' AND subject IN `+sqldb.List(2, len(among)), args...)
	if err != nil {
		return seen{}, fmt.Errorf("look for held subjects: %w", err)
	}
	held, err := sqldb.Collect(rows, func(r sqldb.Row) (subject string, err error) { return subject, r.Scan(&subject) })
	if err != nil {
		return seen{}, fmt.Errorf("look for held subjects: %w", err)
	}
	for _, subject := range held {
		s.held[subject] = true
	}
	return s, nil
}

// subjects lists each subject once, sorted, which is the order to lock them in.
func subjects(items []item) []string {
	list := make([]string, len(items))
	for i, it := range items {
		list[i] = it.event.Subject
	}
	slices.Sort(list)
	return slices.Compact(list)
}
