package inbox

import (
	"context"
	"encoding/json"
	"time"

	"orderflow/pkg/sqldb"
)

// sqlite has one writer at a time: a transaction is its own lock, and must not
// stay open while a handler is busy elsewhere.
type sqlite struct{}

func (sqlite) lock(sqldb.Tx, string, []string) {}

func (sqlite) look(ctx context.Context, q sqldb.Querier, consumer string, keys []key, subjects []string) (sqldb.Rows, error) {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.id
	}
	return q.Query(ctx, `SELECT 0, id, source FROM inbox WHERE consumer = $1 AND id IN (SELECT value FROM json_each($2))
		UNION ALL SELECT 0, id, source FROM inbox_held WHERE consumer = $1 AND id IN (SELECT value FROM json_each($2))
		UNION ALL SELECT DISTINCT 1, subject, '' FROM inbox_held
			WHERE consumer = $1 AND status = 'held' AND subject IN (SELECT value FROM json_each($3))`,
		consumer, list(ids), list(subjects))
}

// admit notes what looking finds to be new. Nobody else writes meanwhile.
func (d sqlite) admit(ctx context.Context, tx sqldb.Tx, consumer string, items []item, now time.Time, _ bool) (map[key]bool, error) {
	seen, err := look(ctx, d, tx, consumer, items)
	if err != nil {
		return nil, err
	}
	var fresh []item
	admitted := make(map[key]bool, len(items))
	for _, it := range items {
		if seen.place(it) == ready {
			fresh = append(fresh, it)
			admitted[it.key()] = true
		}
	}
	d.note(tx, consumer, fresh, now)
	return admitted, nil
}

// note runs one statement an event: here that is faster than a statement of a
// hundred rows, whose text would be another one for each size.
func (sqlite) note(tx sqldb.Tx, consumer string, items []item, now time.Time) {
	for _, it := range items {
		insert(tx, inboxRow(consumer, it, now, 1, outcomeHandled, ""))
	}
}

// list is a list of texts as json_each reads it. Texts that came this far are
// valid UTF-8.
func list(texts []string) string {
	encoded, err := json.Marshal(texts)
	if err != nil {
		return "[]" // never: strings can always be written
	}
	return string(encoded)
}

// forget chooses the same rows twice: nobody else writes meanwhile.
func (sqlite) forget(ctx context.Context, tx sqldb.Tx, consumer string, before int64, limit int) (int64, error) {
	const some = `SELECT rowid FROM inbox WHERE consumer = $1 AND handled_at < $2 ORDER BY rowid LIMIT $3`
	_, err := tx.Exec(ctx, `INSERT INTO inbox_forgotten (consumer, source, subject, type, sequence)
		SELECT consumer, source, subject, type, max(sequence) FROM inbox WHERE rowid IN (`+some+`)
		GROUP BY consumer, source, subject, type
		ON CONFLICT (subject, source, type, consumer) DO UPDATE SET sequence = max(inbox_forgotten.sequence, excluded.sequence)`,
		consumer, before, limit)
	if err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `DELETE FROM inbox WHERE rowid IN (`+some+`)`, consumer, before, limit)
}

func (sqlite) aboutSubject() string {
	return `consumer = $1 AND subject = w.subject AND source = w.source`
}

func (sqlite) mentions(text string) string { return `instr(h.data, CAST(` + text + ` AS BLOB)) > 0` }

func (sqlite) spansEffects() bool { return false }
