package eventlog

import (
	"errors"
	"fmt"
	"math"
	"os"
)

// examineLeast is how many bytes of events at the end of the log are looked at in opening it, at least.
const examineLeast = 1 << 20

// examine reads the end of a log that exists, with SQLite but without leave to write: as far back as an earlier process
// may have been writing when it ended. What lies before is checked when it is read.
func examine(file string, wal leftover) (err error) {
	c, err := connect(dataSource(file, readExamining(wal)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var last int64
	if err := c.queryRow([]any{&last}, sqlLastPosition); err != nil {
		return err
	}
	from, read := int64(math.MaxInt64), int64(0)
	for read < examineLeast+wal.used {
		page, err := readAllPage(c, from, true, pageEvents, last)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			read += int64(e.footprint())
		}
		if !page.More {
			return nil
		}
		from = page.Next
	}
	return nil
}

// readExamining says how to look at a file without changing it. Without a write-ahead log nothing will be written to any
// file beside it either.
func readExamining(wal leftover) access {
	if !wal.exists {
		return accessImmutable
	}
	return accessReadOnly
}

// checkSize refuses a file that is shorter than its header says. A file with a write-ahead log may be.
func checkSize(file string, header []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if want := databaseSize(header); info.Size() < want {
		return fmt.Errorf("%w: it has %d bytes of %d", ErrDamaged, info.Size(), want)
	}
	return nil
}
