package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
)

// Where SQLite's file format (https://www.sqlite.org/fileformat.html) keeps the marks we look for.
const (
	fileMagic           = "SQLite format 3\x00"
	fileHeaderSize      = 100
	offsetPageSize      = 16
	offsetPages         = 28
	offsetUserVersion   = 60
	offsetApplicationID = 68
)

// prepareFile makes the database when it is missing and refuses one that is not ours, or is damaged as far as can be
// seen without reading all of it. A file that is refused is left as it is.
func prepareFile(file string) error {
	header, err := readHeader(file)
	if errors.Is(err, fs.ErrNotExist) {
		return createFile(file)
	}
	if err != nil {
		return err
	}
	if err := checkHeader(header); err != nil {
		return err
	}
	wal, err := checkWAL(file, binary.BigEndian.Uint32(header[offsetUserVersion:]))
	if err != nil {
		return err
	}
	if !wal.exists {
		if err := checkSize(file, header); err != nil {
			return err
		}
	}
	if err := examine(file, wal); err != nil {
		return err
	}
	return settleWAL(file, wal)
}

// checkHeader looks at the bytes rather than asking SQLite, which might change another program's file in opening it.
func checkHeader(header []byte) error {
	if len(header) < fileHeaderSize || string(header[:len(fileMagic)]) != fileMagic {
		return errors.New("the file is damaged or not a SQLite database")
	}
	if id := binary.BigEndian.Uint32(header[offsetApplicationID:]); id != applicationID {
		return fmt.Errorf("the file is a database of another program (application id %#x)", id)
	}
	if version := binary.BigEndian.Uint32(header[offsetUserVersion:]) & versionMask; version != schemaVersion {
		return fmt.Errorf("the file has version %d and this program speaks version %d", version, schemaVersion)
	}
	return nil
}

// databaseSize is the size that a database has by its header.
func databaseSize(header []byte) int64 {
	pageSize := int64(binary.BigEndian.Uint16(header[offsetPageSize:]))
	if pageSize == 1 {
		pageSize = 1 << 16
	}
	return pageSize * int64(binary.BigEndian.Uint32(header[offsetPages:]))
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
func createFile(file string) (err error) {
	unfinished := file + ".new"
	for _, leftover := range []string{unfinished, unfinished + "-journal"} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	source := url.URL{Scheme: "file", OmitHost: true, Path: unfinished, RawQuery: "_pragma=synchronous(FULL)"}
	c, err := connect(source.String())
	if err != nil {
		return err
	}
	mark := rand.N(storeNameRange)*(versionMask+1) + schemaVersion
	if err := errors.Join(createSchema(c, mark), c.close()); err != nil {
		return err
	}
	if err := os.Rename(unfinished, file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

// syncDir makes a new name in a directory durable, where directories can be synced at all.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// createSchema makes the tables in an empty database; mark goes to its user_version.
func createSchema(c *conn, mark int) error {
	marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, mark)
	if err := c.script(sqlBegin + ";" + schema + marks + sqlCommit); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	return nil
}
