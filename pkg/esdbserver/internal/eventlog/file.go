package eventlog

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Where SQLite's file format (https://www.sqlite.org/fileformat.html) keeps the marks we look for.
const (
	fileMagic           = "SQLite format 3\x00"
	fileHeaderSize      = 100
	offsetUserVersion   = 60
	offsetApplicationID = 68
)

// prepareFile makes the database when it is missing and refuses one that is not ours. It looks at the bytes rather than
// asking SQLite, which might change another program's file in opening it.
func prepareFile(ctx context.Context, file string) error {
	header, err := readHeader(file)
	if errors.Is(err, fs.ErrNotExist) {
		return createFile(ctx, file)
	}
	if err != nil {
		return err
	}
	if len(header) < fileHeaderSize || string(header[:len(fileMagic)]) != fileMagic {
		return errors.New("the file is damaged or not a SQLite database")
	}
	if id := binary.BigEndian.Uint32(header[offsetApplicationID:]); id != applicationID {
		return fmt.Errorf("the file is a database of another program (application id %#x)", id)
	}
	if version := binary.BigEndian.Uint32(header[offsetUserVersion:]); version != schemaVersion {
		return fmt.Errorf("the file has version %d and this program speaks version %d", version, schemaVersion)
	}
	return nil
}

func readHeader(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return io.ReadAll(io.LimitReader(f, fileHeaderSize))
}

// createFile makes the database under another name and renames it when it is whole, so that a crash leaves none or one.
func createFile(ctx context.Context, file string) (err error) {
	unfinished := file + ".new"
	for _, leftover := range []string{unfinished, unfinished + "-journal"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	source := url.URL{Scheme: "file", OmitHost: true, Path: unfinished, RawQuery: "_txlock=immediate&_pragma=synchronous(FULL)"}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	if err := errors.Join(createSchema(ctx, c), c.Close(), db.Close()); err != nil {
		return err
	}
	return os.Rename(unfinished, file)
}

func createSchema(ctx context.Context, c *sql.Conn) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // there is nothing to roll back once it is committed
	marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion)
	if _, err := tx.ExecContext(ctx, schema+marks); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	return nil
}

// explainDamage says in words what SQLite has a number for.
func explainDamage(err error) error {
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		switch failure.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("the file is damaged: %w", err)
		}
	}
	return err
}
