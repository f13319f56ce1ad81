package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
)

// LostLimit is how many lost consumers make a dead letter.
const LostLimit = lostLimit

// SetLostLimit lowers it, for tests that lose real processes.
func (b *Bus) SetLostLimit(limit int) { b.lostLimit = limit }

// Vanish ends the bus as kill -9 ends its process, gone being the id of a
// process that has ended: from one moment to the next nothing of it reaches the
// file, and what it had promised to let go it has not.
func (b *Bus) Vanish(gone int) error {
	err := b.writer.do(context.Background(), &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `UPDATE instance SET pid = ? WHERE id = ?`, gone, b.instance)
		return err
	}})
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.closed = true
	var running []*subscription
	for s := range b.subscriptions {
		running = append(running, s)
	}
	b.mu.Unlock()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.writer.close(now)
	for _, s := range running {
		_ = s.Close(now)
		<-s.life.Done()
	}
	b.stopLoops()
	b.loops.Wait()
	_ = b.fetch.Close()
	return b.db.Close()
}

// HoldFile keeps the file as another process would, until release is called or
// the test ends.
func HoldFile(t testing.TB, path string) (release func()) {
	t.Helper()
	db, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		_, err := conn.ExecContext(context.Background(), `ROLLBACK`)
		if err := errors.Join(err, conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}
