package eventlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A disk can fail in two ways, and they are not alike.
//
// A write that fails (the disk is full, a quota is reached) leaves a transaction without its end in the write-ahead log.
// Nobody takes it for one, and the next transaction overwrites it: the log goes on as soon as there is room.
//
// An fsync that fails leaves a whole transaction in the page cache, of which the disk has any part or nothing, and the
// kernel may forget that these pages were never written: a later fsync succeeds without them. Whether the transaction
// counts is then undecided, its writers are told that it failed, and a process that opened the file would take it for
// stored. Whatever was written behind it would be lost with it if the power went. So nothing is written any more; reads
// go on, since what was confirmed before is not concerned. The next Open writes what the write-ahead log holds once more
// (see settleWAL), which makes of the undecided transaction a stored one or a refused start.

// fail ends all writing until the log is opened again.
func (l *Log) fail() {
	if l.failed.CompareAndSwap(false, true) && l.options.DiskFailed != nil {
		go l.options.DiskFailed()
	}
}

// Writable returns ErrDiskFailed when the log can only be read any more, nil otherwise.
func (l *Log) Writable() error { return l.writable() }

func (l *Log) writable() error {
	if l.failed.Load() {
		return ErrDiskFailed
	}
	return nil
}

// noteUnconfirmed passes on why a transaction failed and ends writing if it may be half on the disk.
func (l *Log) noteUnconfirmed(err error) error {
	var failure *sqlite.Error
	if errors.As(err, &failure) {
		switch failure.Code() {
		case sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC:
			l.fail()
			return fmt.Errorf("%w: %w", ErrDiskFailed, err)
		}
	}
	return err
}

// isRolledBack reports whether a ROLLBACK failed because SQLite, on an error of the disk, had done it by itself.
func isRolledBack(err error) bool {
	return strings.Contains(err.Error(), "no transaction is active")
}

// settleWAL makes what the write-ahead log holds true on the disk: what an earlier process wrote may be in the page cache
// alone, marked as written although its fsync failed. Writing the same bytes again makes the kernel write them again. It
// goes by the operating system and not by SQLite, which has no such call.
func settleWAL(file string, found leftover) error {
	if !found.exists {
		return nil
	}
	wal, err := os.OpenFile(file+walSuffix, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = rewrite(wal, found.used)
	if err == nil {
		err = wal.Sync()
	}
	return errors.Join(err, wal.Close())
}

// rewrite writes the first bytes of a file where they are.
func rewrite(file *os.File, size int64) error {
	buf := make([]byte, 1<<20)
	for at := int64(0); at < size; {
		n, err := file.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 {
			if errors.Is(err, io.EOF) {
				return nil // shorter than a header
			}
			return err
		}
		if _, err := file.WriteAt(buf[:n], at); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
