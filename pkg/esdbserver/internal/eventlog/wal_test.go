package eventlog

import (
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// Readers that follow each other without a pause leave SQLite no moment to begin its write-ahead log anew.
func TestWriteAheadLogDoesNotGrowForEverUnderReaders(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	l.walLimit = 4 << 20
	done := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(done)
	for range 2 * cap(l.readers) {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := l.ReadAll(t.Context(), math.MaxInt64, true, 1); err != nil {
					t.Errorf("read: %v", err)
					return
				}
			}
		})
	}
	const written = 40 << 20
	largest, data := int64(0), make([]byte, 1<<20)
	for n := 0; n < written; n += len(data) {
		if _, err := l.Append(t.Context(), "s", Any, []Proposed{{ID: uuid.New(), Type: "x", Data: data}}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(l.options.Dir, fileName+walSuffix))
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if allowed := l.walLimit + 3*walLook; largest > allowed {
		t.Errorf("the write-ahead log became %d bytes large, more than %d", largest, allowed)
	}
}
