package outbox

import (
	"context"
	"log/slog"

	"orderflow/pkg/sqldb"
)

// sqlite has nothing that could wake another process: that one polls.
type sqlite struct{}

func (sqlite) listen(context.Context, sqldb.DB, *slog.Logger, func()) {}

func (sqlite) notify(context.Context, sqldb.DB) error { return nil }
