package verify

import (
	"context"
	"fmt"
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
// often as it is among them, and returns what is owed under them.
func (b *book) tell(ctx context.Context, publisher string, ids []string) (map[string]owed, error) {
	times := map[string]int{}
	for _, id := range ids {
		times[id]++
	}
	found := map[string]owed{}
	err := b.write(ctx, func(tx sqldb.Tx) error {
		for id, n := range times {
			if n > 1 {
				tx.Queue(`UPDATE owed SET told = told + $2 WHERE id = $1 AND publisher = $3`, id, n-1, publisher)
			}
		}
		args := []any{publisher}
		for id := range times {
			args = append(args, id)
		}
		rows, err := tx.Query(ctx, `UPDATE owed SET told = told + 1 WHERE publisher = $1 AND id IN `+sqldb.List(2, len(times))+`
			RETURNING id, publisher, type, subject, sequence, at`, args...)
		if err != nil {
			return err
		}
		all, err := sqldb.Collect(rows, scanOwed)
		for _, o := range all {
			found[o.id] = o
		}
		return err
	})
	return found, err
}

func scanOwed(row sqldb.Row) (o owed, err error) {
	return o, row.Scan(&o.id, &o.publisher, &o.typ, &o.subject, &o.sequence, &o.at)
}

// wrongly hands to fn what a publisher had to announce since a time and has not,
// and what it has announced twice.
func (b *book) wrongly(ctx context.Context, publisher string, since int64, fn func(owed)) error {
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
