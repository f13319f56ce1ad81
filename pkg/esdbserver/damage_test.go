package esdbserver_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

// logged collects what a server logs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestDamagedEventIsAnErrorAndTheRestIsRead(t *testing.T) {
	dir, log := t.TempDir(), &logged{}
	store := esdbservertest.New(t, esdbservertest.InDir(dir), esdbservertest.Configure(func(c *esdbserver.Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	}))
	for i := range 30 { // more than is looked at in opening
		large := event("large")
		large.Data = make([]byte, 100_000)
		if _, err := store.Client(t).AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event(fmt.Sprintf("e%d", i)), large); err != nil {
			t.Fatal(err)
		}
	}
	damaged := store.All(t)[4]
	store.Stop()
	db, err := sql.Open("sqlite", filepath.Join(dir, "events.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `UPDATE event SET record = CAST(substr(record, 1, 40) || zeroblob(length(record) - 40) AS BLOB) WHERE position = ?`, damaged.Position.Commit)
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	store.Start()

	client := store.Client(t)
	for range 3 {
		read, err := client.ReadAll(withPatience(t), esdb.ReadAllOptions{}, math.MaxUint64)
		if err != nil {
			t.Fatal(err)
		}
		events, err := receiveAll(read)
		if len(events) != 4 || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("position %d", damaged.Position.Commit)) {
			t.Errorf("%d events before the damage, then %v", len(events), err)
		}
	}
	read, err := client.ReadStream(withPatience(t), "s", esdb.ReadStreamOptions{From: esdb.Revision(5)}, math.MaxUint64)
	if err != nil {
		t.Fatal(err)
	}
	if events, err := receiveAll(read); len(events) != 55 || err != nil {
		t.Errorf("%d events behind the damage, then %v", len(events), err)
	}
	if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("new")); err != nil {
		t.Errorf("append: %v", err)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("the operator was told %d times:\n%s", n, log)
	}
}
