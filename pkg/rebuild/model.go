package rebuild

import (
	"context"

	"orderflow/pkg/sqldb"
)

// Model is a read model that can be rebuilt: it follows from events alone.
type Model struct {
	// Name is the service's.
	Name string
	// Tables are compared, and exchanged in the swap, each with its indexes.
	Tables []Table
	// Derived looks in one snapshot of a model at what follows from other rows of
	// it, such as sums, and returns what does not; may be nil. It is asked about
	// both models.
	Derived func(ctx context.Context, q sqldb.Querier) ([]Difference, error)
	// Migrate makes the tables of the model, and those of its feed, in the new
	// place. It may be called again.
	Migrate func(ctx context.Context, db sqldb.DB) error
	// Feed returns what fills the model in db, the new place.
	Feed func(db sqldb.DB) Feed
	// Swapped is called after a swap, for who shows the model; may be nil.
	Swapped func()
}

// Table is a table of a model. Every column of it is compared unless it says
// otherwise, so that one which a later migration adds is compared as well.
type Table struct {
	Name string
	// Key is the column that tells what a row is about, a text: the subject of its
	// events, and unique. Empty says that the rows are not compared one by one:
	// they are what [Model.Derived] looks at, or say how far the feed has come.
	Key string
	// Except are the columns that say when, or by which delivery, a row was
	// written.
	Except []string
	// Personal are the columns whose values tell who somebody is: that they differ
	// is told, and not the values, which would outlive the person's wish to be
	// forgotten.
	Personal []string
}

// names are those of the tables.
func (m Model) names() []string {
	names := make([]string, len(m.Tables))
	for i, table := range m.Tables {
		names[i] = table.Name
	}
	return names
}

// Feed fills a new model.
type Feed interface {
	// Run fills the model until ctx ends. filling is called when nothing that
	// happens from then on can be missed. Its error is tried again.
	Run(ctx context.Context, filling func()) error
	// Mark marks the end of what is there to be taken in, and returns what tells
	// how much of that is left, for people, and "" once it was taken in.
	Mark(ctx context.Context) (left func(ctx context.Context) (string, error), err error)
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
