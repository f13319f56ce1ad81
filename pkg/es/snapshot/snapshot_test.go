package snapshot_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/es/snapshot"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestASnapshotComesBackAsItWasSaved(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if _, err := w.table.Load(t.Context(), "tally-1"); !errors.Is(err, es.ErrNoSnapshot) {
			t.Errorf("before: %v", err)
		}
		for revision := range es.Revision(2) {
			want := es.Snapshot{
				Stream: "tally-1", Revision: revision, EventID: cause.NewID(), Version: 3, State: []byte{0, 255, '{'}, Seen: []byte("abcd"),
			}
			if err := w.table.Save(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			got, err := w.table.Load(t.Context(), "tally-1")
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		}
		if n := sqldbtest.Count(t, w.db, `SELECT count(*) FROM es_snapshot`); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestWhateverIsChangedInARowIsFound(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, change := range []string{
			`revision = revision + 1`, `event_id = '01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f'`, `event_id = 'x'`, `version = version + 1`,
			`state = seen`, `seen = state`, `seen = state, state = seen`, `checksum = checksum + 1`, `stream = 'tally-2'`,
		} {
			saved := es.Snapshot{Stream: "tally-1", EventID: cause.NewID(), Version: 1, State: []byte("{}"), Seen: []byte("abcd")}
			if err := w.table.Save(t.Context(), saved); err != nil {
				t.Fatal(err)
			}
			sqldbtest.Exec(t, w.db, `UPDATE es_snapshot SET `+change)
			loaded := "tally-1"
			if change == `stream = 'tally-2'` {
				loaded = "tally-2"
			}
			if _, err := w.table.Load(t.Context(), loaded); !errors.Is(err, es.ErrDamagedSnapshot) {
				t.Errorf("%s: %v", change, err)
			}
			sqldbtest.Exec(t, w.db, `DELETE FROM es_snapshot`)
		}
	})
}

func TestALongStreamIsLoadedFromItsSnapshot(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, tallies := cause.NewID(), w.program(1, every)
		w.fill(t, id, 3*every+2)
		w.agree(t, tallies, id)
		if s := w.taken(t, id, 0); s.Revision != 3*every+1 || s.Version != 1 || len(s.Seen) != 4*(3*every+2) {
			t.Errorf("taken at %d, version %d, with %d ids", s.Revision, s.Version, len(s.Seen)/4)
		}
		// The state is the snapshot's: one that says something else shows it.
		s := w.taken(t, id, 0)
		s.State = []byte(`{"Sum":7000}`)
		if err := w.table.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if got, _, err := tallies.Load(within(t), id); err != nil || got.Sum != 7000 {
			t.Errorf("got %+v, %v: the snapshot was not used", got, err)
		}
	})
}

func TestAShortStreamHasNoSnapshotAndNobodyAsksForOne(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	store := &counting{SnapshotStore: w.table}
	id, tallies := cause.NewID(), w.with(store, 1, every)
	for n := range every {
		if _, _, err := tallies.Update(within(t), id, command(), es.Precondition{}, add(n)); err != nil {
			t.Fatal(err)
		}
	}
	w.taken(t, id, every-1) // in case it becomes longer
	for range 3 {
		w.agree(t, tallies, id)
	}
	if store.loads.Load() != 0 {
		t.Errorf("the store was asked %d times", store.loads.Load())
	}
	if _, _, err := tallies.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil {
		t.Fatal(err)
	}
	w.agree(t, tallies, id)
	if store.loads.Load() == 0 {
		t.Error("the store was not asked for a snapshot of a long stream")
	}
}

// counting counts how often a store is asked.
type counting struct {
	es.SnapshotStore
	loads atomic.Int32
}

func (c *counting) Load(ctx context.Context, stream string) (es.Snapshot, error) {
	c.loads.Add(1)
	return c.SnapshotStore.Load(ctx, stream)
}

// A command is known by its events for ever, also when a snapshot covers them.
func TestACommandFromBeforeTheSnapshotIsNotCarriedOutAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, tallies := cause.NewID(), w.program(1, every)
		var commands []cause.Cause
		for n := range 4 * every {
			commands = append(commands, command())
			if _, _, err := tallies.Update(within(t), id, commands[n], es.Precondition{}, add(n)); err != nil {
				t.Fatal(err)
			}
		}
		sqldbtest.Eventually(t, "a late snapshot", func() bool { // one that is being saved keeps others away
			w.agree(t, tallies, id)
			s, err := w.table.Load(t.Context(), stream(id))
			return err == nil && s.Revision >= 2*every
		})
		for _, c := range commands {
			got, at, err := tallies.Update(within(t), id, c, es.Precondition{}, func(tally) ([]added, error) {
				t.Error("decided again")
				return nil, nil
			})
			if err != nil || got.Count != 4*every || at != 4*every-1 {
				t.Errorf("got %+v at %d, %v", got, at, err)
			}
		}
	})
}

func TestASnapshotOfAnotherHistoryIsNotBelieved(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, other := range map[string]func(es.Snapshot) es.Snapshot{
			"another event there":   func(s es.Snapshot) es.Snapshot { s.EventID = cause.NewID(); return s },
			"the stream is shorter": func(s es.Snapshot) es.Snapshot { s.Revision += 100; return s },
			"from further back":     func(s es.Snapshot) es.Snapshot { s.Revision--; return s },
		} {
			id, tallies := cause.NewID(), w.program(1, every)
			w.fill(t, id, 2*every)
			w.agree(t, tallies, id)
			s := w.taken(t, id, 0)
			s.State = []byte(`{"Sum":7000}`)
			if err := w.table.Save(t.Context(), other(s)); err != nil {
				t.Fatal(err)
			}
			w.agree(t, tallies, id)
			sqldbtest.Eventually(t, "taken anew", func() bool {
				now, err := w.table.Load(t.Context(), s.Stream)
				return err == nil && now.Revision == 2*every-1 && now.EventID == w.server.Events(t, s.Stream)[2*every-1].EventID
			})
			w.agree(t, tallies, id)
			if n := w.log.count("stream=" + s.Stream); n != 1 {
				t.Errorf("%s: told %d times:\n%s", name, n, w.log)
			}
		}
	})
}

func TestATruncatedStreamIsReadAsItIs(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	id, tallies := cause.NewID(), w.program(1, every)
	w.fill(t, id, 2*every)
	w.agree(t, tallies, id)
	w.taken(t, id, 2*every-1)
	w.fill(t, id, 2*every)
	var cut esdb.StreamMetadata
	cut.SetTruncateBefore(2*every + 5)
	if _, err := w.server.Client(t).SetStreamMetadata(within(t), stream(id), esdb.AppendToStreamOptions{}, cut); err != nil {
		t.Fatal(err)
	}
	w.agree(t, tallies, id)
	w.taken(t, id, 4*every-1)
	sqldbtest.Exec(t, w.db, `DELETE FROM es_snapshot`)
	w.agree(t, tallies, id)
	if n := w.log.count("does not have"); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.log)
	}
}

func TestADamagedSnapshotIsTakenAnewAndToldOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, damage := range []string{`state = seen`, `seen = state`, `version = 99`, `event_id = ''`} {
			id, tallies := cause.NewID(), w.program(1, every)
			w.fill(t, id, 2*every)
			w.agree(t, tallies, id)
			w.taken(t, id, 0)
			sqldbtest.Exec(t, w.db, `UPDATE es_snapshot SET `+damage)
			w.agree(t, tallies, id)
			w.taken(t, id, 2*every-1)
			w.agree(t, tallies, id)
			if n := w.log.count("stream=" + stream(id)); n != 1 {
				t.Errorf("%s: told %d times:\n%s", damage, n, w.log)
			}
			sqldbtest.Exec(t, w.db, `DELETE FROM es_snapshot`)
		}
	})
}

func TestAStateThatCannotBeReadIsDamage(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	id, tallies := cause.NewID(), w.program(1, every)
	w.fill(t, id, 2*every)
	w.agree(t, tallies, id)
	s := w.taken(t, id, 0)
	s.State = []byte(`{"Sum":`)
	if err := w.table.Save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.agree(t, tallies, id)
	sqldbtest.Eventually(t, "taken anew", func() bool {
		now, err := w.table.Load(t.Context(), s.Stream)
		return err == nil && len(now.State) > len(s.State)
	})
	w.agree(t, tallies, id)
	if n := w.log.count("damaged snapshot"); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.log)
	}
}

func TestASnapshotOfANewerProgramIsLeftToIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id, older, newer := cause.NewID(), w.program(1, every), w.program(2, every)
		w.fill(t, id, 2*every)
		w.agree(t, newer, id)
		w.taken(t, id, 0)
		for range 2 * every {
			if _, _, err := older.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil {
				t.Fatal(err)
			}
			w.agree(t, older, id)
		}
		if s := w.taken(t, id, 0); s.Version != 2 || s.Revision != 2*every-1 {
			t.Errorf("it is of version %d at %d now", s.Version, s.Revision)
		}
		if n := w.log.count("come from a newer program"); n != 1 {
			t.Errorf("told %d times:\n%s", n, w.log)
		}
	})
}

func TestASnapshotOfAnOlderProgramIsTakenAnew(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := cause.NewID()
		w.fill(t, id, 2*every)
		w.agree(t, w.program(1, every), id)
		w.taken(t, id, 0)
		newer := w.program(2, every)
		w.agree(t, newer, id)
		sqldbtest.Eventually(t, "taken anew", func() bool { return w.taken(t, id, 0).Version == 2 })
		w.agree(t, newer, id)
		if text := w.log.String(); text != "" {
			t.Errorf("told: %s", text)
		}
	})
}

func TestCommandsAreCarriedOutWhileTheSnapshotsAreAway(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		db := &sqldbtest.Cuttable{DB: w.db}
		away := *w
		away.table = snapshot.New(db)
		id, tallies := cause.NewID(), away.program(1, every)
		w.fill(t, id, 2*every)
		db.Cut(true)
		for range 2 * every {
			if _, _, err := tallies.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil {
				t.Fatal(err)
			}
		}
		w.agree(t, tallies, id)
		if n := w.log.count("cannot be read"); n != 1 {
			t.Errorf("told %d times:\n%s", n, w.log)
		}
		db.Cut(false)
		w.agree(t, tallies, id)
		w.taken(t, id, 4*every-1)
	})
}

func TestAStateThatCannotBeEncodedFailsNothing(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	id, tallies := cause.NewID(), w.program(1, every)
	w.fill(t, id, every)
	for range every {
		if _, _, err := tallies.Update(within(t), id, command(), es.Precondition{}, add(-1)); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.log.count("unfit"); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.log)
	}
	if _, _, err := tallies.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil {
		t.Fatal(err)
	}
	w.taken(t, id, 2*every)
}

// full refuses to save, as a disk without room does, until it is told not to.
type full struct {
	es.SnapshotStore
	tried atomic.Int32
	room  atomic.Bool
}

var errFull = errors.New("no room")

func (f *full) Save(ctx context.Context, s es.Snapshot) error {
	f.tried.Add(1)
	if f.room.Load() {
		return f.SnapshotStore.Save(ctx, s)
	}
	return errFull
}

func TestSnapshotsThatCannotBeSavedFailNothingAndAreToldOnce(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	store := &full{SnapshotStore: w.table}
	id, tallies := cause.NewID(), w.with(store, 1, every)
	w.fill(t, id, 2*every)
	tries := func(n int32) {
		t.Helper()
		sqldbtest.Eventually(t, "it is tried again", func() bool {
			w.agree(t, tallies, id)
			return store.tried.Load() >= n
		})
	}
	tries(5)
	if _, at, err := tallies.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil || at != 2*every {
		t.Errorf("a command: at %d, %v", at, err)
	}
	if n := w.log.count("no room"); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.log)
	}
	store.room.Store(true)
	tries(store.tried.Load() + 1)
	w.taken(t, id, 2*every)
}

// awkward panics where it should return an error, when it is told to.
type awkward struct {
	states
	encoding, decoding bool
}

func (a awkward) EncodeState(s tally) ([]byte, error) {
	if a.encoding {
		panic("no such field to encode")
	}
	return a.states.EncodeState(s)
}

func (a awkward) DecodeState(data []byte) (tally, error) {
	if a.decoding {
		panic("no such field to decode")
	}
	return a.states.DecodeState(data)
}

// A command that is committed is not failed by what was to make the next one
// faster, nor a load by what it does not need.
func TestACodecThatPanicsFailsNothing(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	id := cause.NewID()
	w.fill(t, id, 2*every)
	program := func(a awkward) *repository {
		a.states = states{1}
		return w.plain.WithSnapshots(es.Snapshots[tally]{Store: w.table, Codec: a, Every: every, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	}
	encoding, decoding := program(awkward{encoding: true}), program(awkward{decoding: true})
	w.agree(t, encoding, id)
	if _, at, err := encoding.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil || at != 2*every {
		t.Errorf("a command: at %d, %v", at, err)
	}
	if n := w.log.count("panic: no such field to encode"); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.log)
	}
	w.agree(t, program(awkward{}), id)
	w.taken(t, id, 2*every)
	w.agree(t, decoding, id)
	if _, at, err := decoding.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil || at != 2*every+1 {
		t.Errorf("a command: at %d, %v", at, err)
	}
	if n := w.log.count("panic: no such field to decode"); n == 0 {
		t.Errorf("nothing was told:\n%s", w.log)
	}
}

func TestWritersWithSnapshotsOverwriteNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		id := cause.NewID()
		const writers, commands = 4, 30
		var group sync.WaitGroup
		for n := range writers {
			tallies := w.program(1+n%2, 3+n)
			group.Go(func() {
				for range commands {
					if _, _, err := tallies.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		for n := range writers {
			if got, _ := w.agree(t, w.program(1+n%2, 3+n), id); got.Sum != writers*commands {
				t.Errorf("%d of %d", got.Sum, writers*commands)
			}
		}
	})
}

func TestADeletedStreamIsNotFoundWhateverItsSnapshotSays(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLite(t))
	id, tallies := cause.NewID(), w.program(1, every)
	w.fill(t, id, 2*every)
	w.agree(t, tallies, id)
	w.taken(t, id, 0)
	if _, err := w.server.Client(t).DeleteStream(within(t), stream(id), esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, at, err := tallies.Load(within(t), id); !errors.Is(err, es.ErrNotFound) || at != es.NoStream || got != (tally{}) {
		t.Errorf("got %+v at %d, %v", got, at, err)
	}
}
