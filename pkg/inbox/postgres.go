package inbox

import (
	"context"
	"fmt"

	"orderflow/pkg/sqldb"
)

type postgres struct{}

// lock takes one advisory lock per subject, in the order of their keys, so that
// two batches wait for each other instead of for ever. Two subjects may share a
// key; then they wait without need. The schema is part of the key because
// advisory locks belong to the whole database.
func (postgres) lock(ctx context.Context, tx sqldb.Tx, consumer string, subjects []string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(key) FROM (
			SELECT DISTINCT hashtextextended(current_schema() || '/inbox/' || $1 || '/' || subject, 0) AS key
			FROM unnest($2::text[]) AS subject ORDER BY key) AS keys`, consumer, subjects)
	if err != nil {
		return fmt.Errorf("lock %d subjects: %w", len(subjects), err)
	}
	return nil
}

func (postgres) spansEffects() bool { return true }
