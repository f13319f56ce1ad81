package inbox

import (
	"context"
	"fmt"
	"slices"
	"time"

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

// admit notes the items that are to be handled now, before they are: a handler
// that fails takes the note back. It answers for the others what they are, or
// with errNotNew when allNew said that there are none.
func (in *Inbox) admit(ctx context.Context, tx sqldb.Tx, items []item, allNew bool) (fresh, behind []item, err error) {
	admitted, err := in.dialect.admit(ctx, tx, in.consumer, items, time.Now(), allNew)
	if err != nil {
		return nil, nil, fmt.Errorf("note %d events in the inbox: %w", len(items), waited(err))
	}
	fresh = make([]item, 0, len(items))
	var others []item
	for _, it := range items {
		if admitted[it.key()] {
			delete(admitted, it.key()) // a second one in the batch is a duplicate
			fresh = append(fresh, it)
		} else {
			others = append(others, it)
		}
	}
	in.allNew.Store(len(others) == 0)
	if len(others) == 0 {
		return fresh, nil, nil
	}
	seen, err := in.look(ctx, tx, others)
	if err != nil {
		return nil, nil, err
	}
	for _, it := range others {
		switch seen.place(it) {
		case again:
		case heldBehind:
			behind = append(behind, it)
		case ready: // it was forgotten at this very moment
			return nil, nil, fmt.Errorf("event %s of %s was known and is not any more", it.event.ID, it.event.Source)
		}
	}
	return fresh, behind, nil
}

// look asks the database about items.
func (in *Inbox) look(ctx context.Context, q sqldb.Querier, items []item) (seen, error) {
	return look(ctx, in.dialect, q, in.consumer, items)
}

func look(ctx context.Context, d dialect, q sqldb.Querier, consumer string, items []item) (seen, error) {
	keys := make([]key, len(items))
	for n, i := range items {
		keys[n] = i.key()
	}
	s := seen{keys: make(map[key]bool, len(items)), held: map[string]bool{}}
	rows, err := d.look(ctx, q, consumer, keys, subjects(items))
	if err == nil {
		_, err = sqldb.Collect(rows, func(r sqldb.Row) (struct{}, error) { return struct{}{}, s.scan(r) })
	}
	if err != nil {
		return seen{}, fmt.Errorf("look for known events and held subjects: %w", waited(err))
	}
	return s, nil
}

func (s seen) scan(r sqldb.Row) error {
	var isSubject bool
	var name, source string
	if err := r.Scan(&isSubject, &name, &source); err != nil {
		return err
	}
	if isSubject {
		s.held[name] = true
	} else {
		s.keys[key{name, source}] = true
	}
	return nil
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
