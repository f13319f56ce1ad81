package eventlog

import (
	"os"
	"path/filepath"
)

const (
	walSuffix = "-wal"
	shmSuffix = "-shm"

	// walLimit is what SQLite cuts the write-ahead log down to when it begins it anew. When it has become larger, readers
	// are stopped for as long as it takes to fold it into the file.
	walLimit = 64 << 20
	// walLook is how many bytes are written between two looks at its size, and how far it may be above the limit.
	walLook = 4 << 20
)

// boundWAL keeps the write-ahead log from growing for ever. SQLite folds it into the file by itself, but begins it anew
// only at a moment without readers (https://www.sqlite.org/wal.html, "avoiding excessively large WAL files"), which may
// never come. No read takes longer than a page, so that waiting for all of them to end is short.
func (l *Log) boundWAL(c *conn, writes []*write) {
	if l.options.Dir == "" {
		return
	}
	for _, w := range writes {
		l.unfolded += int64(w.size) + recordOverhead
	}
	if l.unfolded < walLook {
		return
	}
	l.unfolded = 0
	info, err := os.Stat(filepath.Join(l.options.Dir, fileName) + walSuffix)
	if err != nil || info.Size() <= l.walLimit+walLook {
		return
	}
	held := make([]*conn, cap(l.readers))
	for i := range held {
		held[i] = <-l.readers
	}
	var busy, frames, folded int64
	err = c.queryRow([]any{&busy, &frames, &folded}, sqlFoldWAL)
	for _, r := range held {
		l.readers <- r
	}
	if err != nil || busy != 0 {
		l.options.Logger.Warn("the write-ahead log could not be folded into the file; this will be tried again",
			"log", l.name(), "bytes", info.Size(), "busy", busy != 0, "error", err)
	}
}
