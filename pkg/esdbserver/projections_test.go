package esdbserver_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

// withProjections switches the system projections on.
func withProjections(c *esdbserver.Config) { c.SystemProjections = true }

// linksOf waits until a stream has n events and returns their data.
func linksOf(t *testing.T, store *esdbservertest.Server, stream string, n int) []string {
	t.Helper()
	return linksUntil(t, store, stream, func(links []string) bool { return len(links) == n })
}

// awaitLinks waits until a stream has had all of some links.
func awaitLinks(t *testing.T, store *esdbservertest.Server, stream string, all ...string) {
	t.Helper()
	linksUntil(t, store, stream, func(links []string) bool {
		return !slices.ContainsFunc(all, func(link string) bool { return !slices.Contains(links, link) })
	})
}

func linksUntil(t *testing.T, store *esdbservertest.Server, stream string, enough func([]string) bool) []string {
	t.Helper()
	subscription, err := store.Client(t).SubscribeToStream(withPatience(t), stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	var links []string
	for !enough(links) {
		switch got := subscription.Recv(); {
		case got.EventAppeared != nil:
			links = append(links, string(got.EventAppeared.OriginalEvent().Data))
		case got.SubscriptionDropped != nil:
			t.Fatalf("%s ended behind %v: %v", stream, links, got.SubscriptionDropped.Error)
		}
	}
	return links
}

// linkedUpTo appends one event more and waits for its link: everything before it is linked then.
func linkedUpTo(t *testing.T, store *esdbservertest.Server) {
	t.Helper()
	end := event("end-" + uuid.NewString())
	if _, err := store.Client(t).AppendToStream(withPatience(t), end.EventType, esdb.AppendToStreamOptions{}, end); err != nil {
		t.Fatal(err)
	}
	linksOf(t, store, "$et-"+end.EventType, 1)
}

func TestEventsAreLinkedByCategoryTypeAndMore(t *testing.T) {
	store := esdbservertest.New(t, esdbservertest.Configure(withProjections))
	client := store.Client(t)
	correlated := event("paid")
	correlated.Metadata = []byte(`{"$correlationId":"c-1","other":1}`)
	link := esdb.EventData{EventType: "$>", Data: []byte("0@order-1")}
	for _, write := range []struct {
		stream string
		event  esdb.EventData
	}{
		{"order-1", event("placed")},
		{"order-1", correlated},
		{"order-2-a", event("placed")},
		{"customer", event("seen")},
		{"list-1", link},
		{"-1", event("odd")},
		{"$system-1", event("odd")},
	} {
		if _, err := client.AppendToStream(withPatience(t), write.stream, esdb.AppendToStreamOptions{}, write.event); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.SetStreamMetadata(withPatience(t), "order-1", esdb.AppendToStreamOptions{}, esdb.StreamMetadata{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteStream(withPatience(t), "order-1", esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.TombstoneStream(withPatience(t), "order-2-a", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	linkedUpTo(t, store)
	for stream, want := range map[string][]string{
		"$ce-order":       {"0@order-1", "1@order-1", "0@order-2-a"},
		"$ce-list":        {"0@order-1"}, // what the user's link points to
		"$ce-":            nil,
		"$ce-$system":     nil,
		"$ce-$ce":         nil,
		"$et-placed":      {"0@order-1", "0@order-2-a"},
		"$et-odd":         {"0@-1", "0@$system-1"},
		"$et-$>":          nil,
		"$et-$metadata":   {"0@$$order-1"}, // and not that of the deletion
		"$bc-c-1":         {"1@order-1"},
		"$category-order": {"order-1", "order-2-a"},
	} {
		var got []string
		for _, e := range store.Events(t, stream) {
			got = append(got, string(e.Data))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stream, diff)
		}
	}
	listed := []string{"0@order-1", "0@customer", "0@$$order-1", "0@$ce-order", "0@$streams"}
	awaitLinks(t, store, "$streams", listed...)
	linkedUpTo(t, store)
	counts := map[string]int{}
	for _, e := range store.Events(t, "$streams") {
		counts[string(e.Data)]++
	}
	for _, stream := range listed {
		if counts[stream] != 1 {
			t.Errorf("%s is listed %d times", stream, counts[stream])
		}
	}
}

func TestLinksLeadToTheEvents(t *testing.T) {
	store := esdbservertest.New(t, inDir(t), esdbservertest.Configure(withProjections))
	client := store.Client(t)
	subscription, err := client.SubscribeToStream(withPatience(t), "$ce-order", esdb.SubscribeToStreamOptions{From: esdb.Start{}, ResolveLinkTos: true})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	const writers, appends = 4, 50
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range appends {
				if _, err := client.AppendToStream(withPatience(t), fmt.Sprintf("order-%d", w), esdb.AppendToStreamOptions{}, event(fmt.Sprint(i)), event("and")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := map[string]uint64{}
	for n := uint64(0); n < 2*writers*appends; {
		got := subscription.Recv()
		if got.SubscriptionDropped != nil {
			t.Fatal(got.SubscriptionDropped.Error)
		}
		if got.EventAppeared == nil {
			continue
		}
		e := got.EventAppeared
		if e.Link == nil || e.Link.StreamID != "$ce-order" || e.Link.EventNumber != n {
			t.Fatalf("link %d is %v", n, e.Link)
		}
		if e.Event == nil || e.Event.EventNumber != next[e.Event.StreamID] {
			t.Fatalf("link %d leads to %v", n, e.Event)
		}
		next[e.Event.StreamID]++
		n++
	}
	done.Wait()
}

func TestEventsFromBeforeTheProjectionsAreLinkedToo(t *testing.T) {
	dir := t.TempDir()
	before := esdbservertest.New(t, esdbservertest.InDir(dir))
	batch := make([]esdb.EventData, 100)
	var want []string
	for n := range 10 {
		for i := range batch {
			batch[i] = esdb.EventData{EventType: "old", Data: []byte("x")}
			want = append(want, fmt.Sprintf("%d@s-1", n*len(batch)+i))
		}
		if _, err := before.Client(t).AppendToStream(withPatience(t), "s-1", esdb.AppendToStreamOptions{}, batch...); err != nil {
			t.Fatal(err)
		}
	}
	before.Stop()
	for range 3 { // the second and third time there is nothing new
		store := esdbservertest.New(t, esdbservertest.InDir(dir), esdbservertest.Configure(withProjections))
		linkedUpTo(t, store)
		for _, stream := range []string{"$ce-s", "$et-old"} {
			if diff := cmp.Diff(want, linksOf(t, store, stream, len(want))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", stream, diff)
			}
			if got := len(store.Events(t, stream)); got != len(want) {
				t.Errorf("%s has %d events, want %d", stream, got, len(want))
			}
		}
		store.Stop()
	}
}

func TestLinkStreamThatWasTombstonedOrDeletedStopsNothing(t *testing.T) {
	store := esdbservertest.New(t, inDir(t), esdbservertest.Configure(withProjections))
	client := store.Client(t)
	write := func(eventType string) {
		if _, err := client.AppendToStream(withPatience(t), "order-1", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: eventType}); err != nil {
			t.Fatal(err)
		}
		linkedUpTo(t, store)
	}
	write("a")
	if _, err := client.TombstoneStream(withPatience(t), "$ce-order", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteStream(withPatience(t), "$et-a", esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	write("b")
	write("a")
	if got := linksOf(t, store, "$et-b", 1); got[0] != "1@order-1" {
		t.Errorf("$et-b has %v", got)
	}
	deleted := store.Events(t, "$et-a")
	if len(deleted) != 1 || string(deleted[0].Data) != "2@order-1" || deleted[0].EventNumber != 1 {
		t.Errorf("the deleted stream has %v", deleted)
	}
	if got := (&script{t: t, store: store, client: client}).content("$ce-order"); got != "stream deleted" {
		t.Errorf("the tombstoned stream has %s", got)
	}
}

// Every page that the linker reads may be one of which nothing is left.
func TestManyEventsWhoseLinksAreUnwantedStopNothing(t *testing.T) {
	store := esdbservertest.New(t, esdbservertest.Configure(withProjections))
	client := store.Client(t)
	if _, err := client.TombstoneStream(withPatience(t), "$et-noise", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	noise := make([]esdb.EventData, 300)
	for i := range noise {
		noise[i] = esdb.EventData{EventType: "noise"}
	}
	for range 3 {
		store.Append(t, "s", noise...)
		linkedUpTo(t, store)
	}
}

func TestProjectionsGoOnAfterTheDatabaseFailed(t *testing.T) {
	dir := t.TempDir()
	var failed <-chan struct{}
	store := esdbservertest.New(t, esdbservertest.InDir(dir), esdbservertest.Configure(withProjections), esdbservertest.Configure(func(c *esdbserver.Config) {
		failed = tellsOf(c, "the system projections fell behind and try again")
	}))
	database, err := sql.Open("sqlite", filepath.Join(dir, "events.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if _, err := database.ExecContext(withPatience(t), `CREATE TRIGGER broken BEFORE INSERT ON event WHEN instr(NEW.record, CAST('$>' AS BLOB)) > 0 BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Client(t).AppendToStream(withPatience(t), "order-1", esdb.AppendToStreamOptions{}, event("a")); err != nil {
		t.Errorf("a writer is concerned too: %v", err)
	}
	select {
	case <-failed:
	case <-withPatience(t).Done():
		t.Fatal("the failure was not logged")
	}
	if _, err := database.ExecContext(withPatience(t), `DROP TRIGGER broken`); err != nil {
		t.Fatal(err)
	}
	if got := linksOf(t, store, "$ce-order", 1); got[0] != "0@order-1" {
		t.Errorf("linked %v", got)
	}
}
