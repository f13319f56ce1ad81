//go:build unix

package outbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func capturing() outbox.Options {
	options := quick
	options.Reader = outbox.Capture
	return options
}

func TestAServerWithoutLogicalDecodingIsToldInOneLine(t *testing.T) {
	c := newCluster(t, "wal_level=replica")
	db := c.connect(t)
	bus := &fakeBus{}
	o := newOutbox(t, db, bus, capturing())
	start(t, o)
	add(t, db, o, event("one", "a"))
	eventually(t, "it says why", func() bool {
		err := o.Ready()
		return err != nil && strings.Contains(err.Error(), "needs wal_level = logical, the server has replica") && !strings.Contains(err.Error(), "\n")
	})
	eventually(t, "it tried again", func() bool { return o.Stats().Failures > 2 })
	if n := len(bus.ids()); n != 0 {
		t.Errorf("%d events were published in another way than the one asked for", n)
	}
	c.exec(t, `ALTER SYSTEM SET wal_level = 'logical'`)
	c.restart(t)
	eventually(t, "the server streams", func() bool { return o.Stats().Streaming && o.Ready() == nil })
	waitSentAgain(t, o)
}

func TestARoleThatMayNotReplicateIsToldWhatItNeeds(t *testing.T) {
	c := newCluster(t, "wal_level=logical")
	c.exec(t, `CREATE ROLE packing LOGIN`, `GRANT CREATE ON SCHEMA public TO packing`, `GRANT CREATE ON DATABASE postgres TO packing`)
	db := connect(t, c.url("packing"))
	bus := &fakeBus{}
	o := newOutbox(t, db, bus, capturing())
	start(t, o)
	add(t, db, o, event("one", "a"))
	eventually(t, "it says why", func() bool {
		err := o.Ready()
		return err != nil && strings.Contains(err.Error(), "the role needs REPLICATION")
	})
	c.exec(t, `ALTER ROLE packing REPLICATION`)
	eventually(t, "the server streams", func() bool { return o.Stats().Streaming && o.Ready() == nil })
	waitSent(t, o)
}

func TestALostSlotIsReplacedAndNothingIsMissing(t *testing.T) {
	c := newCluster(t, "wal_level=logical", "max_slot_wal_keep_size=2MB")
	db := c.connect(t)
	bus := &fakeBus{}
	o := newOutbox(t, db, bus, capturing())
	stop := start(t, o)
	eventually(t, "the server streams", func() bool { return o.Stats().Streaming })
	add(t, db, o, event("one", "a"))
	waitSent(t, o)
	stop()
	add(t, db, o, event("two", "a"))
	c.exec(t, `CREATE TABLE busy (text TEXT)`)
	eventually(t, "the server gave the slot up", func() bool {
		c.exec(t, `INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 2000)`, `CHECKPOINT`)
		return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'`) == 1
	})
	start(t, o)
	eventually(t, "the server streams again", func() bool { return o.Stats().Streaming && o.Ready() == nil })
	add(t, db, o, event("three", "a"))
	waitSent(t, o)
	if diff := cmp.Diff([]string{"one", "two", "three"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestAServerThatIsKilledUnderLoadLosesNothing(t *testing.T) {
	for _, reader := range []outbox.Reader{outbox.Polling, outbox.Capture} {
		t.Run(string(reader), func(t *testing.T) {
			c := newCluster(t, "wal_level=logical")
			db := c.connect(t)
			bus := &fakeBus{}
			options := quick
			options.Reader = reader
			o := newOutbox(t, db, bus, options)
			start(t, o)
			var want []string
			ctx, cancel := context.WithCancel(t.Context())
			written := make(chan struct{})
			go func() {
				defer close(written)
				for n := 0; ctx.Err() == nil; n++ {
					id := fmt.Sprintf("e%06d", n)
					// An error says nothing about the commit: the same fact again is no second one.
					for ctx.Err() == nil {
						err := db.Update(ctx, func(tx sqldb.Tx) error { return o.Add(ctx, tx, cause.Cause{}, event(id, "a")) })
						if err == nil {
							want = append(want, id)
							break
						}
					}
				}
			}()
			for round := range 3 {
				eventually(t, "some were sent", func() bool { return len(bus.ids()) > 100*(round+1) })
				c.restart(t)
			}
			eventually(t, "some more were sent", func() bool { return len(bus.ids()) > 500 })
			cancel()
			<-written
			waitSentAgain(t, o)
			got := firsts(bus.ids())
			if len(got) > len(want) { // the last one may have committed without saying so
				got = got[:len(want)]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A commit is in the server's log before it is one: with a synchronous standby
// it can be undone by a failover until the standby has it.
func TestNothingIsAnnouncedBeforeItsCommitIsVisible(t *testing.T) {
	c := newCluster(t, "wal_level=logical")
	db := c.connect(t)
	bus := &fakeBus{}
	// Renewing the lease would wait for the standby too.
	options := capturing()
	options.LeaseTTL, options.StatementTimeout = time.Hour, time.Hour
	o := newOutbox(t, db, bus, options)
	start(t, o)
	eventually(t, "the server streams", func() bool { return o.Stats().Streaming })
	add(t, db, o, event("one", "a"))
	waitSent(t, o)
	c.exec(t, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`, `SELECT pg_reload_conf()`)
	eventually(t, "commits wait", func() bool {
		return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_settings WHERE name = 'synchronous_standby_names' AND setting = 'nobody'`) == 1
	})
	committed := make(chan error)
	go func() {
		committed <- db.Update(t.Context(), func(tx sqldb.Tx) error { return o.Add(t.Context(), tx, cause.Cause{}, event("two", "a")) })
	}()
	eventually(t, "the commit was written and waited", func() bool {
		return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`) > 0
	})
	end := position(t, db)
	eventually(t, "the stream had passed it", func() bool {
		return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_stat_replication WHERE sent_lsn >= CAST($1::text AS pg_lsn)`, end) == 1
	})
	eventually(t, "the publisher asked for it", func() bool {
		return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_locks WHERE locktype = ''transactionid''%' AND pid <> pg_backend_pid()`) > 0
	})
	if diff := cmp.Diff([]string{"one"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
	c.exec(t, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	waitSent(t, o)
	if diff := cmp.Diff([]string{"one", "two"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}
