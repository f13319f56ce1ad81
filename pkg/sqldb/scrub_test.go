package sqldb_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestWhatWasDeletedIsInNoFileAfterScrubbing has rows grow, move between pages
// and go, so that copies are left in the corners of pages and in the log.
func TestWhatWasDeletedIsInNoFileAfterScrubbing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.db")
	db, err := sqldb.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT)`)
	for i := range 300 {
		sqldbtest.Exec(t, db, `INSERT INTO item VALUES ($1, 'Quist')`, fmt.Sprint(7*i%300))
	}
	sqldbtest.Exec(t, db, `UPDATE item SET name = name || 'Quist' || id`)
	sqldbtest.Exec(t, db, `UPDATE item SET name = 'forgotten' WHERE id < '2'`)
	sqldbtest.Exec(t, db, `DELETE FROM item WHERE id >= '2'`)
	if !holds(t, path, "Quist") {
		t.Fatal("looked in the wrong place: the name is in no file")
	}
	if err := db.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if holds(t, path, "Quist") {
		t.Error("the name is still there")
	}
	if !holds(t, path, "forgotten") {
		t.Error("what was not deleted is gone")
	}
}

// TestAReaderDelaysScrubbingAndNoWriter has somebody read what was there before.
func TestAReaderDelaysScrubbingAndNoWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.db")
	db, err := sqldb.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)`)
	sqldbtest.Exec(t, db, `INSERT INTO item VALUES (1, 'Quist')`)
	scrubbed := make(chan error, 1)
	err = db.View(t.Context(), func(tx sqldb.Tx) error {
		var name string
		if err := tx.QueryRow(t.Context(), `SELECT name FROM item`).Scan(&name); err != nil {
			return err
		}
		sqldbtest.Exec(t, db, `DELETE FROM item`)
		go func() { scrubbed <- db.Scrub(t.Context()) }()
		for id := range 20 { // while it waits
			sqldbtest.Exec(t, db, `INSERT INTO item VALUES ($1, 'somebody else')`, id+2)
		}
		select {
		case err := <-scrubbed:
			t.Errorf("done while somebody reads: %v", err)
		default:
		}
		return tx.QueryRow(t.Context(), `SELECT name FROM item`).Scan(&name)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-scrubbed; err != nil || holds(t, path, "Quist") {
		t.Errorf("afterwards: %v", err)
	}
}

// holds searches all files of a database.
func holds(t *testing.T, path, text string) bool {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(content, []byte(text))
	}
	return found
}
