package story

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
	db      sqldb.DB
	sending bool
	wake    chan struct{}
}

// New returns the store in db. sending says that there is a mail server: then
// new mails are queued, and otherwise they are kept. Mails that were queued
// while there was one wait until there is one again.
func New(db sqldb.DB, sending bool) *Store {
	return &Store{db: db, sending: sending, wake: make(chan struct{}, 1)}
}

// Wake gets a value after a commit that may have made a mail ready to be sent.
// Several commits may share one.
func (s *Store) Wake() <-chan struct{} { return s.wake }

func (s *Store) ring() {
	select {
	case s.wake <- struct{}{}:
	default: // it is set already
	}
}
