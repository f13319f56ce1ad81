package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/es/snapshot"
	"orderflow/pkg/esdbserver"
	"orderflow/pkg/sqldb"
)

// A repository behaves the same with snapshots and without: only loading a long
// stream takes less time.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "snapshot")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	db, err := sqldb.Open(ctx, "sqlite://"+filepath.Join(folder, "tally.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := snapshot.Migrate(ctx, db); err != nil {
		panic(err)
	}
	url, stop := serveEvents()
	defer stop()
	store, err := es.Open(url, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()

	table := snapshot.New(db)
	plain := es.NewRepository(store, "tally", codec{}, apply)
	tallies := plain.WithSnapshots(es.Snapshots[tally]{Store: table, Codec: states{version: 1}, Every: 10})

	id := cause.NewID()
	for n := range 25 {
		if _, _, err := tallies.Update(ctx, id, cause.Cause{ID: cause.NewID()}, es.Precondition{}, add(n)); err != nil {
			panic(err)
		}
	}
	// It is saved beside the commands, which do not wait for it.
	for _, err = table.Load(ctx, es.StreamName("tally", id)); errors.Is(err, es.ErrNoSnapshot); {
		<-time.After(time.Millisecond)
		_, err = table.Load(ctx, es.StreamName("tally", id))
	}
	fmt.Println("a snapshot is there:", err == nil)

	fast, at, err := tallies.Load(ctx, id)
	fmt.Println(fast.Sum, "at revision", at, err)
	slow, at, err := plain.Load(ctx, id)
	fmt.Println(slow.Sum, "at revision", at, err)
	// Output:
	// a snapshot is there: true
	// 300 at revision 24 <nil>
	// 300 at revision 24 <nil>
}

// serveEvents starts an embedded event store, in memory.
func serveEvents() (url string, stop func()) {
	server, err := esdbserver.Open(esdbserver.Config{})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	return "esdb://" + listener.Addr().String() + "?tls=false", func() { _ = server.Close(); <-served }
}
