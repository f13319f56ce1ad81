package inbox

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"orderflow/pkg/sqldb"
)

// postgres sends what belongs to a batch as arrays: one text of a statement for
// batches of any size, so it is parsed once a connection.
type postgres struct{}

// lock takes one advisory lock per subject, in the order of their keys, so that
// two batches wait for each other instead of for ever. Two subjects may share a
// key; then they wait without need. The schema is part of the key because
// advisory locks belong to the whole database.
func (postgres) lock(tx sqldb.Tx, consumer string, subjects []string) {
	keys := make([]int64, len(subjects))
	for i, subject := range subjects {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte("inbox/" + consumer + "/" + subject)) // never fails
		keys[i] = int64(hash.Sum64())                                  //nolint:gosec // any number will do
	}
	slices.Sort(keys)
	tx.Queue(`SELECT count(pg_advisory_xact_lock(key # hashtext(current_schema()))) FROM unnest($1::bigint[]) AS key`, slices.Compact(keys))
}

// look asks once for each event and each subject, by index. As a condition on an
// array the same question is a scan of the table, with a comparison of each row
// with each id, for as long as the server has no statistics; LIMIT keeps the
// planner from joining what it can look up.
func (postgres) look(ctx context.Context, q sqldb.Querier, consumer string, keys []key, subjects []string) (sqldb.Rows, error) {
	ids, sources := make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		ids[i], sources[i] = k.id, k.source
	}
	return q.Query(ctx, `SELECT false, e.id, e.source FROM unnest($2::text[], $3::text[]) AS e (id, source) WHERE
			(SELECT true FROM inbox WHERE consumer = $1 AND id = e.id AND source = e.source LIMIT 1)
			OR (SELECT true FROM inbox_held WHERE consumer = $1 AND id = e.id AND source = e.source LIMIT 1)
		UNION ALL SELECT true, e.subject, '' FROM unnest($4::text[]) AS e (subject) WHERE
			(SELECT true FROM inbox_held WHERE consumer = $1 AND subject = e.subject AND status = 'held' LIMIT 1)`,
		consumer, ids, sources, subjects)
}

// admit looks and notes with one statement. Where all events should be new it
// has no ON CONFLICT, for which PostgreSQL looks for each row before it inserts
// it, and again while it does: a sixth of what a batch costs.
func (postgres) admit(ctx context.Context, tx sqldb.Tx, consumer string, items []item, now time.Time, allNew bool) (map[key]bool, error) {
	admitted := make(map[key]bool, len(items))
	if allNew {
		n, err := tx.Exec(ctx, insertBatch+unlessHeld, batchArgs(consumer, items, now)...)
		if sqldb.IsUniqueViolation(err) || (err == nil && n < int64(len(items))) {
			return nil, errNotNew
		}
		for _, it := range items {
			admitted[it.key()] = true
		}
		return admitted, err
	}
	rows, err := tx.Query(ctx, insertBatch+unlessHeld+` ON CONFLICT (consumer, id, source) DO NOTHING RETURNING id, source`,
		batchArgs(consumer, items, now)...)
	if err != nil {
		return nil, err
	}
	_, err = sqldb.Collect(rows, func(r sqldb.Row) (k key, err error) {
		err = r.Scan(&k.id, &k.source)
		admitted[k] = true
		return k, err
	})
	return admitted, err
}

// unlessHeld leaves out events that are held, and those behind one. What is held
// is looked at only where anything is, which is hardly ever.
const unlessHeld = `
	WHERE CASE WHEN (SELECT true FROM inbox_held WHERE consumer = $1 LIMIT 1) THEN
		(SELECT true FROM inbox_held WHERE consumer = $1 AND id = e.id AND source = e.source LIMIT 1) IS NULL
		AND (SELECT true FROM inbox_held WHERE consumer = $1 AND subject = e.subject AND status = 'held' LIMIT 1) IS NULL
	ELSE true END`

func (postgres) note(tx sqldb.Tx, consumer string, items []item, now time.Time) {
	tx.Queue(insertBatch+` ON CONFLICT (consumer, id, source) DO NOTHING`, batchArgs(consumer, items, now)...)
}

const insertBatch = `INSERT INTO inbox (` + inboxColumns + `)
	SELECT $1, id, source, type, subject, sequence, correlation_id, causation_id, time, $3 + n - 1, $2, 1, 'handled', ''
	FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::bigint[])
		WITH ORDINALITY AS e (id, source, type, subject, sequence, correlation_id, causation_id, time, n)`

func batchArgs(consumer string, items []item, now time.Time) []any {
	texts := make([][]string, 6)
	for i := range texts {
		texts[i] = make([]string, len(items))
	}
	sequences, times := make([]int64, len(items)), make([]int64, len(items))
	for i, it := range items {
		e := it.event
		for column, text := range []string{e.ID, e.Source, e.Type, e.Subject, e.CorrelationID, e.CausationID} {
			texts[column][i] = text
		}
		sequences[i], times[i] = e.Sequence, sqldb.Micros(e.Time)
	}
	return []any{
		consumer, sqldb.Micros(now), sqldb.Micros(items[0].received),
		texts[0], texts[1], texts[2], texts[3], sequences, texts[4], texts[5], times,
	}
}

// forget takes rows by their place: the table lies in the order of time, which
// is all that its index on it knows.
func (postgres) forget(ctx context.Context, tx sqldb.Tx, consumer string, before int64, limit int) (n int64, err error) {
	err = tx.QueryRow(ctx, `WITH gone AS (
			DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox WHERE consumer = $1 AND handled_at < $2 LIMIT $3))
			RETURNING source, subject, type, sequence
		), kept AS (
			INSERT INTO inbox_forgotten (consumer, source, subject, type, sequence)
			SELECT $1, source, subject, type, max(sequence) FROM gone GROUP BY source, subject, type
			ON CONFLICT (subject, source, type, consumer) DO UPDATE SET sequence = GREATEST(inbox_forgotten.sequence, excluded.sequence)
		)
		SELECT count(*) FROM gone`, consumer, before, limit).Scan(&n)
	return n, err
}

// aboutSubject leaves the index on subjects as the only one to be used: without
// statistics the server would take the primary key, and read all that is of the
// consumer and the source.
func (postgres) aboutSubject() string {
	return `subject = w.subject AND consumer || '' = $1 AND source || '' = w.source`
}

func (postgres) mentions(text string) string {
	return `position(convert_to(` + text + `, 'UTF8') IN h.data) > 0`
}

func (postgres) spansEffects() bool { return true }
