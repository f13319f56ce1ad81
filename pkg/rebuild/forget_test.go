package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// personal makes words personal, and subjects somebody who can be forgotten.
func personal(w *world) {
	w.model.Tables[0].Personal = []string{"word"}
	w.model.Feed = func(db sqldb.DB) rebuild.Feed {
		in := inbox.New(db, "words", slog.New(slog.DiscardHandler), inbox.Options{Personal: "test.events."})
		listen(in)
		forgetting(in)
		return rebuild.FromBus(rebuild.BusFeed{Bus: w.bus, Consumer: "words", Inbox: in, DB: db})
	}
	forgetting(w.in)
	w.rebuild = w.another()
}

func forgetting(in *inbox.Inbox) {
	inbox.On(in, "test.events.forgotten.v1", func(_ context.Context, tx sqldb.Tx, e eventbus.Event, _ struct{}) error {
		in.Erase(tx, e.Subject)
		tx.Queue(`UPDATE word SET word = '' WHERE subject = $1`, e.Subject)
		return nil
	})
	inbox.On(in, "test.events.whispered.v1", func(_ context.Context, _ sqldb.Tx, _ eventbus.Event, data said) error {
		return inbox.Park(errors.New("cannot use " + data.Word))
	})
}

// TestNoDifferenceTellsOfSomebody has what is personal differ, and an event
// refused for a reason that quotes it: what is kept of a comparison is read long
// after it, and erased by nobody.
func TestNoDifferenceTellsOfSomebody(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		personal(w)
		w.live()
		w.run(w.rebuild)
		for n := range 5 {
			w.say(fmt.Sprint("s", n), fmt.Sprint("Quist", n), n)
		}
		w.has(5)
		sqldbtest.Exec(t, w.db, `UPDATE word SET word = 'Zwick' WHERE subject = 's3'`)
		sqldbtest.Exec(t, w.db, `UPDATE word SET word = 'Zwick', n = 7 WHERE subject = 's4'`)
		w.history = append(w.history, eventbus.Event{
			ID: "whispered", Source: "/orderflow/test", Type: "test.events.whispered.v1", Subject: "s1", Sequence: 9, Time: time.Now().UTC(),
			Data: []byte(`{"word":"Quist"}`), CorrelationID: "c", CausationID: "c",
		})
		w.begin()
		w.replay()
		w.finish(rebuild.Check)
		want := []rebuild.Difference{
			{Table: "inbox", Key: "s1", What: "the new model could not take in test.events.whispered.v1 whispered; the log says why"},
			{Table: "word", Key: "s3", What: "word is not what it should be"},
			{Table: "word", Key: "s4", What: `word is not what it should be; n is "7", and should be "4"; twice is "14", and should be "8"`},
		}
		if diff := cmp.Diff(want, w.becomes(rebuild.Differs).Differences); diff != "" {
			t.Error(diff)
		}
		var kept string
		if err := w.db.QueryRow(t.Context(), `SELECT differences FROM rebuild`).Scan(&kept); err != nil || strings.Contains(kept, "Quist") || strings.Contains(kept, "Zwick") {
			t.Errorf("kept: %s, %v", kept, err)
		}
	})
}

// TestWhoIsForgottenDuringARebuildIsInNoFileOfIt leaves the rebuild open, as one
// whose differences somebody thinks about.
func TestWhoIsForgottenDuringARebuildIsInNoFileOfIt(t *testing.T) {
	w := newWorld(t, sqldbtest.SQLiteURL(t))
	personal(w)
	w.live()
	w.run(w.rebuild)
	for n := range 5 {
		w.tell(fmt.Sprint("said", n), "test.events.said.v1", fmt.Sprint("s", n), fmt.Sprintf(`{"word":"Quist","n":%d}`, n))
	}
	w.begin()
	w.replay()
	w.finish(rebuild.Check)
	w.becomes(rebuild.Same)
	traces := func() (found []string) {
		files, err := filepath.Glob(w.url[len("sqlite://"):] + ".rebuild*")
		if err != nil || len(files) == 0 {
			t.Fatalf("no new model: %v", err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err == nil && strings.Contains(string(content), "Quist") {
				found = append(found, file)
			}
		}
		return found
	}
	if len(traces()) == 0 {
		t.Fatal("looked in the wrong place: the new model has it nowhere")
	}
	for n := range 5 {
		w.tell(fmt.Sprint("forget", n), "test.events.forgotten.v1", fmt.Sprint("s", n), `{}`)
	}
	sqldbtest.Eventually(t, "the new model has it in no file", func() bool { return len(traces()) == 0 })
	w.finish(rebuild.Check)
	w.becomes(rebuild.Same)
}

// TestWhatKillsARebuildIsToldAndLeavesNoQueue has the broker give up an event on
// its way to the new model.
func TestWhatKillsARebuildIsToldAndLeavesNoQueue(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		personal(w)
		w.live()
		w.run(w.rebuild)
		w.say("s1", "Quist", 1)
		w.has(1)
		w.begin()
		dead := "words" + rebuild.QueueSuffix + eventbus.DeadSuffix
		if err := w.bus.Send(t.Context(), dead, w.history...); err != nil {
			t.Fatal(err)
		}
		want := []rebuild.Difference{
			{Table: "inbox", Key: "s1", What: "the new model could not take in test.events.said.v1 s1-Quist-1; the log says why"},
			{Table: "word", Key: "s1", What: "is in the live model only, while one of them lacks an event of it"},
		}
		sqldbtest.Eventually(t, "it is told that the new model lacks it, and why", func() bool {
			w.finish(rebuild.Check) // dead letters have a queue of their own, with no mark in it
			return cmp.Equal(want, w.becomes(rebuild.Differs).Differences)
		})
		if _, err := w.rebuild.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.becomes(rebuild.Cancelled)
		w.gone()
		if n, err := w.bus.Depth(t.Context(), dead); !errors.Is(err, eventbus.ErrNoQueue) {
			t.Errorf("%d events are left in %s, %v", n, dead, err)
		}
	})
}
