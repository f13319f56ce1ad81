package es

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// What arrives while nobody has time is one batch, and no more than a batch may
// have is taken from the subscription meanwhile.
func TestWhatArrivesMeanwhileIsOneBatchUpToItsBound(t *testing.T) {
	for name, test := range map[string]struct {
		arrive, bytes int
		first         int
	}{
		"few":   {arrive: 100, first: 100},
		"many":  {arrive: maxBatch + 10, first: maxBatch},
		"large": {arrive: 10, bytes: maxBatchBytes / 4, first: 4},
	} {
		t.Run(name, func(t *testing.T) {
			received, batches := make(chan *esdb.SubscriptionEvent), make(chan Batch)
			ended := make(chan error, 1)
			go func() { ended <- gather(t.Context(), nil, received, batches, 7) }()
			taken := make(chan struct{})
			go func() {
				defer close(received)
				for i := range test.arrive {
					received <- arrival(uint64(i+8), test.bytes)
					if i+1 == test.first {
						close(taken)
					}
				}
			}()
			<-taken
			got := 0
			for batch := range batches {
				if got == 0 && len(batch.Events) != test.first {
					t.Errorf("the first batch has %d events, want %d", len(batch.Events), test.first)
				}
				got += len(batch.Events)
				if want := Position(got + 7); batch.Position != want {
					t.Errorf("after %d events the position is %d", got, batch.Position)
				}
			}
			if err := <-ended; err == nil || got != test.arrive {
				t.Errorf("%d of %d events, %v", got, test.arrive, err)
			}
		})
	}
}

func arrival(position uint64, bytes int) *esdb.SubscriptionEvent {
	return &esdb.SubscriptionEvent{EventAppeared: &esdb.ResolvedEvent{Event: &esdb.RecordedEvent{
		StreamID: "test-1", Position: esdb.Position{Commit: position, Prepare: position}, Data: make([]byte, bytes),
	}}}
}
