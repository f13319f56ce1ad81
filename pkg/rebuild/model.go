package rebuild

import (
	"context"

	"orderflow/pkg/sqldb"
)

// Model is a read model that can be rebuilt: it follows from events alone.
type Model struct {
	// Name is the service's.
	Name string
	// Tables are exchanged in the swap, each with its indexes.
	Tables []string
	// Compare is what must be the same in both.
	Compare []Rows
	// Migrate makes the tables of the model, and those of its feed, in the new
	// place. It may be called again.
	Migrate func(ctx context.Context, db sqldb.DB) error
	// Feed returns what fills the model in db, the new place.
	Feed func(db sqldb.DB) Feed
	// Swapped is called after a swap, for who shows the model; may be nil.
	Swapped func()
}

// Rows are the rows of a table that are compared: by Key, a text, all Columns.
// Leave out what says when or by which delivery a row was written.
type Rows struct {
	Table   string
	Key     string // the id of what the row is about: the subject of its events
	Columns []string
	// Personal are those of the Columns that tell of somebody who may be forgotten:
	// a difference says which of them is not the same, and not what is in it.
	Personal []string
}

// Feed fills a new model.
type Feed interface {
	// Run fills the model until ctx ends. filling is called when nothing that
	// happens from then on can be missed. Its error is tried again.
	Run(ctx context.Context, filling func()) error
	// Mark marks the end of what is there to be taken in, and returns what tells
	// whether that was.
	Mark(ctx context.Context) (passed func() bool, err error)
	// Covers returns "" when the new model has every event that the live one has,
	// and none of its own waits to be tried again; otherwise what it lacks. since is
	// when the rebuild began. live is the database of the live model, or a
	// transaction in it.
	Covers(ctx context.Context, live sqldb.Querier, since int64) (lacks string, err error)
	// InFlight returns those of the subjects of which one model has an event that
	// the other is still to get.
	InFlight(ctx context.Context, live, beside sqldb.Querier, subjects []string, since int64) (map[string]bool, error)
	// Refused lists the events that the new model could not take in, up to limit.
	Refused(ctx context.Context, limit int) ([]Difference, error)
	// Remove takes away what the feed has outside the new place.
	Remove(ctx context.Context) error
}

// Difference is a row that is not the same in both models.
type Difference struct {
	Table string `json:"table"`
	Key   string `json:"key"`
	What  string `json:"what"`
}
