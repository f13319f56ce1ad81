package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
)

// owed is an announcement that follows from a committed event, or, of packing and
// dispatch, that a committed event follows from. Its id is known: ids are derived.
type owed struct {
	id        string
	publisher string
	typ       string
	subject   string
	sequence  int64 // anySequence where the publisher counts by itself
	at        int64 // when the event was committed, in microseconds
}

// announcedAs lists how an event is announced by those whose stream it is on. Of
// types that are not known here nothing is asked.
func announcedAs(typ string) []string {
	switch typ {
	case orderPlaced:
		return []string{"order.events.placed.v1", "order.events.placed.v2"}
	case orderCancelled:
		return []string{"order.events.cancelled.v1"}
	case processDelayed:
		return []string{"order.events.delayed.v1"}
	case processAskedBack:
		return []string{"packing.commands.return_to_stock.v1"}
	case customerRegistered:
		return []string{"customer.events.created.v1"}
	case customerContactChanged:
		return []string{"customer.events.contact_changed.v1"}
	case customerAddressChanged:
		return []string{"customer.events.address_changed.v1"}
	case customerDeactivated:
		return []string{"customer.events.deactivated.v1"}
	case customerForgotten:
		return []string{"customer.events.forgotten.v1"}
	default:
		return nil
	}
}

// What packing and dispatch announce and a stream records.
const (
	packedV1     = "packing.events.packed.v1"
	rejectedV1   = "packing.events.rejected.v1"
	returnedV1   = "packing.events.returned.v1"
	dispatchedV1 = "dispatch.events.dispatched.v1"
)

// recordedFrom tells which announcement of another service an event records. An
// order that packing has rejected was once cancelled without a further event.
func recordedFrom(r es.Recorded, rejected bool) (publisher, typ string) {
	switch {
	case r.Type == orderPacked:
		return "packing", packedV1
	case r.Type == orderRejected, r.Type == orderCancelled && rejected:
		return "packing", rejectedV1
	case r.Type == processReturned:
		return "packing", returnedV1
	case r.Type == orderDispatched:
		return "dispatch", dispatchedV1
	default:
		return "", ""
	}
}

// owedFor lists the announcements that belong to a committed event. rejected says
// that packing has rejected the order that it is about.
func owedFor(r es.Recorded, rejected bool) []owed {
	subject, at := r.AggregateID().String(), r.At.UnixMicro()
	publisher := "order"
	if strings.HasPrefix(r.Stream, "customer-") {
		publisher = "customer"
	}
	var all []owed
	for _, typ := range announcedAs(r.Type) {
		all = append(all, owed{cause.IntegrationID(r.ID, typ).String(), publisher, typ, subject, int64(r.Revision), at})
	}
	if publisher, typ := recordedFrom(r, rejected); typ != "" && r.Metadata.CausationID != "" {
		all = append(all, owed{r.Metadata.CausationID, publisher, typ, subject, anySequence, at})
	}
	return all
}

// owe takes down what has to be announced.
func owe(ctx context.Context, tx sqldb.Tx, all []owed) error {
	if len(all) == 0 {
		return nil
	}
	args := make([]any, 0, len(all)*6)
	for _, o := range all {
		args = append(args, o.id, o.publisher, o.typ, o.subject, o.sequence, o.at)
	}
	_, err := tx.Exec(ctx, `INSERT INTO owed (id, publisher, type, subject, sequence, at) VALUES `+sqldb.Values(len(all), 6)+`
		ON CONFLICT (id) DO NOTHING`, args...)
	return err
}

// tell takes down that something was announced under these ids, each of them as
// often as it is among them, and returns what a publisher owes under them.
func (b *book) tell(ctx context.Context, publisher string, ids []string) (map[string]owed, error) {
	args := make([]any, 0, len(ids)+1)
	args = append(args, publisher)
	for _, id := range ids {
		args = append(args, id)
	}
	rows, err := b.db.Query(ctx, `SELECT id, publisher, type, subject, sequence, at FROM owed
		WHERE publisher = $1 AND id IN `+sqldb.List(2, len(ids)), args...)
	if err != nil {
		return nil, fmt.Errorf("temporary database: %w", err)
	}
	all, err := sqldb.Collect(rows, scanOwed)
	if err != nil {
		return nil, fmt.Errorf("temporary database: %w", err)
	}
	found := make(map[string]owed, len(all))
	for _, o := range all {
		found[o.id] = o
	}
	for _, id := range ids {
		if _, owes := found[id]; owes {
			b.told = append(b.told, id)
		}
	}
	if len(b.told) < atATime {
		return found, nil
	}
	return found, b.writeTold(ctx)
}

func (b *book) writeTold(ctx context.Context) error {
	slices.Sort(b.told)
	once := slices.Compact(slices.Clone(b.told))
	err := b.write(ctx, func(tx sqldb.Tx) error {
		for i := 1; i < len(b.told); i++ { // an id that is there again counts again
			if b.told[i] == b.told[i-1] {
				tx.Queue(`UPDATE owed SET told = told + 1 WHERE id = $1`, b.told[i])
			}
		}
		for some := range slices.Chunk(once, perStatement) {
			args := make([]any, len(some))
			for i, id := range some {
				args[i] = id
			}
			if _, err := tx.Exec(ctx, `UPDATE owed SET told = told + 1 WHERE id IN `+sqldb.List(1, len(some)), args...); err != nil {
				return err
			}
		}
		return nil
	})
	b.told = b.told[:0]
	return err
}

func scanOwed(row sqldb.Row) (o owed, err error) {
	return o, row.Scan(&o.id, &o.publisher, &o.typ, &o.subject, &o.sequence, &o.at)
}

// wrongly hands to fn what a publisher had to announce since a time and has not,
// and what it has announced twice.
func (b *book) wrongly(ctx context.Context, publisher string, since int64, fn func(owed)) error {
	if err := b.writeTold(ctx); err != nil {
		return err
	}
	for after := ""; ; {
		rows, err := b.db.Query(ctx, `SELECT id, publisher, type, subject, sequence, at FROM owed
			WHERE told <> 1 AND publisher = $1 AND (told > 1 OR at >= $2) AND id > $3 ORDER BY id LIMIT 500`, publisher, since, after)
		if err != nil {
			return fmt.Errorf("temporary database: %w", err)
		}
		page, err := sqldb.Collect(rows, scanOwed)
		if err != nil {
			return fmt.Errorf("temporary database: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		for _, o := range page {
			fn(o)
		}
		after = page[len(page)-1].id
	}
}
