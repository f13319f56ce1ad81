package esdbserver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

// appendMany writes n events to a stream, numbered by their revisions.
func appendMany(t testing.TB, client *esdb.Client, stream string, n, size int) {
	t.Helper()
	const batch = 500
	for n > 0 {
		events := make([]esdb.EventData, min(n, batch))
		for i := range events {
			events[i] = esdb.EventData{EventID: uuid.New(), EventType: "x", Data: make([]byte, size)}
		}
		if _, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{}, events...); err != nil {
			t.Fatal(err)
		}
		n -= len(events)
	}
}

func TestManyEventsReachCompetingConsumersOnceEach(t *testing.T) {
	const events, consumers = 10_000, 4
	for _, strategy := range []esdb.ConsumerStrategy{esdb.ConsumerStrategyRoundRobin, esdb.ConsumerStrategyDispatchToSingle, esdb.ConsumerStrategyPinned} {
		t.Run(string(strategy), func(t *testing.T) {
			store := esdbservertest.New(t, inDir(t))
			client := store.Client(t)
			settings := esdb.SubscriptionSettingsDefault()
			settings.ConsumerStrategyName, settings.MessageTimeout = strategy, 600_000
			if err := client.CreatePersistentSubscriptionToAll(withPatience(t), "g", esdb.PersistentAllSubscriptionOptions{
				StartFrom: esdb.Start{}, Settings: &settings, Filter: prefix("x"),
			}); err != nil {
				t.Fatal(err)
			}
			var (
				mu       sync.Mutex
				seen     = map[string]int{}
				all      = make(chan struct{})
				readers  sync.WaitGroup
				ctx, end = context.WithTimeout(context.Background(), 10*patience) // it is a lot on a busy machine
			)
			defer end()
			for range consumers {
				subscription, err := client.SubscribeToPersistentSubscriptionToAll(ctx, "g", esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 100})
				if err != nil {
					t.Fatal(err)
				}
				readers.Go(func() {
					defer subscription.Close()
					for {
						message := subscription.Recv()
						if message.SubscriptionDropped != nil {
							return // the test is over, one way or the other
						}
						e := message.EventAppeared.Event
						mu.Lock()
						seen[fmt.Sprintf("%d@%s", e.Event.EventNumber, e.Event.StreamID)]++
						if len(seen) == events {
							select {
							case <-all:
							default:
								close(all)
							}
						}
						mu.Unlock()
						if err := subscription.Ack(e); err != nil {
							return
						}
					}
				})
			}
			for i := range 10 { // some while the consumers are at it
				appendMany(t, client, fmt.Sprintf("s-%d", i), events/10, 100)
			}
			select {
			case <-all:
			case <-ctx.Done():
				mu.Lock()
				t.Errorf("%d of %d events have arrived", len(seen), events)
				mu.Unlock()
			}
			// What a leaving consumer has not acknowledged goes to those that have not left yet, rightly a second time.
			await(t, "the last acknowledgement", func() bool {
				info, err := client.GetPersistentSubscriptionInfoToAll(withPatience(t), "g", esdb.GetPersistentSubscriptionOptions{})
				return err == nil && info.Stats.TotalInFlightMessages == 0
			})
			end()
			readers.Wait()
			for name, n := range seen {
				if n != 1 {
					t.Errorf("%s came %d times", name, n)
				}
			}
		})
	}
}

// An event may be nearly as large as a message; a link to it travels along.
func TestLargestEventsAreDelivered(t *testing.T) {
	const size = 15 << 20
	s := newGroupScript(t, esdbservertest.Configure(func(c *esdbserver.Config) { c.MaxAppendSize = 32 << 20 }))
	_, err := s.client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "large", Data: make([]byte, size)})
	if err != nil {
		t.Fatal(err)
	}
	s.run("link 0@s", "create on=links start resolve", "A connects 1", "A gets links/0->large", "A retries large", "A gets links/0->large(1)")
	if got := len(s.consumers["A"].got["large"].Event.Data); got != size {
		t.Errorf("it has %d bytes", got)
	}
}

// The server is killed while a consumer is at work, again and again: in the end everything has been done, and what a
// checkpoint covered did not come again.
func TestKilledServerLosesNothingOfAGroup(t *testing.T) {
	const rounds, perRound, checkpoint = 3, 300, 20
	dir := t.TempDir()
	done := map[uint64]bool{}
	parked := map[uint64]bool{}
	for round := range rounds {
		server := startChild(t, dir)
		client := connect(t, "esdb://"+server.connection.Target()+"?tls=false")
		appendMany(t, client, "s", perRound, 100)
		if round == 0 {
			settings := esdb.SubscriptionSettingsDefault()
			settings.CheckpointUpperBound = checkpoint
			if err := client.CreatePersistentSubscription(withPatience(t), "s", "g", esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings}); err != nil {
				t.Fatal(err)
			}
		}
		covered := uint64(0)
		info, err := client.GetPersistentSubscriptionInfo(withPatience(t), "s", "g", esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if at := info.Stats.LastCheckpointedEventRevision; at != nil {
			covered = *at + 1
		} else if round > 0 {
			t.Errorf("round %d: no checkpoint has survived", round)
		}
		for revision := range covered {
			if !done[revision] {
				t.Fatalf("round %d: the checkpoint covers %d, which was never done", round, revision)
			}
		}
		subscription, err := client.SubscribeToPersistentSubscription(withPatience(t), "s", "g", esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 10})
		if err != nil {
			t.Fatal(err)
		}
		for last := uint64(0); last < uint64((round+1)*perRound-perRound/2); {
			message := subscription.Recv()
			if message.SubscriptionDropped != nil {
				t.Fatalf("round %d: %v", round, message.SubscriptionDropped.Error)
			}
			e := message.EventAppeared.Event
			if last = e.Event.EventNumber; last < covered {
				t.Errorf("round %d: %d comes again behind the checkpoint at %d", round, last, covered)
			}
			done[last] = true
			if last%7 == 0 {
				parked[last] = true
				err = subscription.Nack("later", esdb.NackActionPark, e)
			} else {
				err = subscription.Ack(e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for ctx := withPatience(t); ctx.Err() == nil; { // a checkpoint comes a little later than the answers
			info, err := client.GetPersistentSubscriptionInfo(ctx, "s", "g", esdb.GetPersistentSubscriptionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if at := info.Stats.LastCheckpointedEventRevision; at != nil && *at >= covered {
				break
			}
		}
		server.kill()
		subscription.Close()
	}

	s := &groupScript{script: newScript(t, esdbservertest.InDir(dir)), source: "s", consumers: map[string]*consumer{}}
	s.run("A connects 100")
	for last := uint64(0); last < rounds*perRound-1; {
		message := s.consumers["A"].Recv()
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
		last = message.EventAppeared.Event.Event.EventNumber
		done[last] = true
		delete(parked, last) // it was not durable when the server was killed, or not covered: it is done now
		if err := s.consumers["A"].Ack(message.EventAppeared.Event); err != nil {
			t.Fatal(err)
		}
	}
	for revision := range uint64(rounds * perRound) {
		if !done[revision] {
			t.Errorf("%d is lost", revision)
		}
	}
	links := map[string]bool{}
	for _, link := range s.store.Events(t, s.parkedStream()) {
		links[string(link.Data)] = true
	}
	for revision := range parked {
		if !links[fmt.Sprintf("%d@s", revision)] {
			t.Errorf("%d was parked and is not there", revision)
		}
	}
}
