package figures

import (
	"embed"
	"io/fs"

	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the migrations of the tables, for service.Migrate.
func Migrations() fs.FS { return migrations }

// never is the sequence of what no event has said yet.
const never = -1

// Store keeps the rows. Safe for concurrent use, also by several processes.
type Store struct {
	db sqldb.DB
	// moved and changed get a value after a commit that changed a figure: the
	// one for the loop that adds up, the other for those who watch.
	moved, changed chan struct{}
}

// New returns the store in db.
func New(db sqldb.DB) *Store {
	return &Store{db: db, moved: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
}

func (s *Store) ring() {
	for _, bell := range []chan struct{}{s.moved, s.changed} {
		select {
		case bell <- struct{}{}:
		default: // it is set already
		}
	}
}
