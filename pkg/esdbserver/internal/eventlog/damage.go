package eventlog

import (
	"errors"
	"fmt"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrDamaged is returned for what lies in the file and is not what was written there. Everything that is read is checked:
// a damaged event is never handed out, and a missing one is noticed by its neighbours. What lies elsewhere in the file
// can still be read.
var ErrDamaged = errors.New("the file is damaged")

// explainDamage says in words what SQLite has a number for.
func explainDamage(err error) error {
	if err == nil || errors.Is(err, ErrDamaged) {
		return err
	}
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		switch failure.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}

// damageReports is how many different damages are remembered as reported.
const damageReports = 1000

// damageLog keeps clients that try again and again from filling the operator's log with one and the same damage.
type damageLog struct {
	mu       sync.Mutex
	reported map[string]bool
}

// isNew reports whether a damage has not been reported yet.
func (d *damageLog) isNew(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := err.Error()
	if d.reported[text] || len(d.reported) >= damageReports {
		return false
	}
	if d.reported == nil {
		d.reported = map[string]bool{}
	}
	d.reported[text] = true
	return true
}

// noteDamage puts damage into words and tells the operator of it, once.
func (l *Log) noteDamage(err error) error {
	err = explainDamage(err)
	if errors.Is(err, ErrDamaged) && l.damages.isNew(err) {
		l.options.Logger.Error("a part of the event log cannot be read", "log", l.name(), "error", err)
	}
	return err
}
