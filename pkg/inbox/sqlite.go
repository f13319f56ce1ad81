package inbox

import (
	"context"

	"orderflow/pkg/sqldb"
)

// sqlite has one writer at a time: a transaction is its own lock, and must not
// stay open while a handler is busy elsewhere.
type sqlite struct{}

func (sqlite) lock(context.Context, sqldb.Tx, string, []string) error { return nil }

func (sqlite) spansEffects() bool { return false }
