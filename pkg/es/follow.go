package es

import (
	"context"
	"errors"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Batch is a piece of the committed log.
type Batch struct {
	// Events are in log order; there may be none.
	Events []Recorded
	// Position is where the log has been read to: following from here misses
	// nothing and repeats nothing.
	Position Position
	// CaughtUp says that the end of the log was reached at the time.
	CaughtUp bool
}

// maxBatch bounds the events of a batch, and with it memory.
const maxBatch = 512

// Follow hands the committed events of all streams whose names start with one
// of the prefixes to handle, in log order and without gaps, beginning after
// position after. A batch is whatever has arrived, never waited for. Batches
// without events tell of progress over streams that are not followed.
//
// It waits for a server that is not there, and returns when handle returns an
// error, with that error; when the subscription breaks, with [ErrUnavailable];
// and when ctx ends. Whoever calls it keeps the position of the last batch it
// made durable, and calls again with that.
func (s *Store) Follow(
	ctx context.Context, after Position, prefixes []string, handle func(context.Context, Batch) error,
) error {
	session, err := s.connected(ctx)
	if err != nil {
		return fmt.Errorf("follow %v: %w", prefixes, err)
	}
	defer session.leave()
	ctx, cancel := context.WithCancel(ctx)
	subscription, err := s.subscribe(ctx, session, after, prefixes)
	if err != nil {
		cancel()
		return fmt.Errorf("follow %v: %w", prefixes, err)
	}
	received := make(chan *esdb.SubscriptionEvent, maxBatch)
	go receive(ctx, subscription, received)
	defer func() { // nothing of the subscription stays behind
		cancel()
		for range received { // until it is closed
		}
	}()
	at := after
	for {
		batch, err := gather(ctx, session.gone, received, at)
		if err != nil {
			if broken, _ := classify(err); broken {
				s.replace(session)
			}
			return fmt.Errorf("follow %v: %w", prefixes, err)
		}
		if err := handle(ctx, batch); err != nil {
			return err
		}
		at = batch.Position
	}
}

func (s *Store) subscribe(
	ctx context.Context, session *session, after Position, prefixes []string,
) (*esdb.Subscription, error) {
	var from esdb.AllPosition = esdb.Start{}
	if after > 0 {
		from = esdb.Position{Commit: uint64(after), Prepare: uint64(after)}
	}
	// The subscription lives for as long as the context it was made with: ours.
	return callOn(ctx, s, session, func(_ context.Context, client *esdb.Client) (*esdb.Subscription, error) {
		return client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
			From:               from,
			MaxSearchWindow:    256,
			CheckpointInterval: 4,
			Filter:             &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: prefixes},
		})
	})
}

// receive moves what the subscription brings into the channel until it drops.
func receive(ctx context.Context, subscription *esdb.Subscription, received chan<- *esdb.SubscriptionEvent) {
	defer close(received)
	for {
		event := subscription.Recv()
		select {
		case received <- event:
		case <-ctx.Done():
			return
		}
		if event.SubscriptionDropped != nil {
			return
		}
	}
}

// gather waits for one message and takes what else is there already.
func gather(
	ctx context.Context, gone <-chan struct{}, received <-chan *esdb.SubscriptionEvent, at Position,
) (Batch, error) {
	batch := Batch{Position: at}
	for count := 0; count < maxBatch; count++ {
		var message *esdb.SubscriptionEvent
		if count == 0 {
			select {
			case message = <-received:
			case <-gone:
				return batch, errLost
			case <-ctx.Done():
				return batch, context.Cause(ctx)
			}
		} else {
			select {
			case message = <-received:
			default:
				return batch, nil
			}
		}
		if message == nil || message.SubscriptionDropped != nil {
			if len(batch.Events) > 0 {
				return batch, nil // what came before the break counts; the break comes up again
			}
			return batch, dropped(ctx, message)
		}
		batch.add(message)
	}
	return batch, nil
}

func (b *Batch) add(message *esdb.SubscriptionEvent) {
	switch {
	case message.EventAppeared != nil:
		event := recorded(message.EventAppeared.OriginalEvent())
		b.Events = append(b.Events, event)
		b.Position, b.CaughtUp = event.Position, false
	case message.CheckPointReached != nil:
		b.Position = max(b.Position, Position(message.CheckPointReached.Commit))
	case message.CaughtUp != nil:
		b.CaughtUp = true
	}
}

func dropped(ctx context.Context, message *esdb.SubscriptionEvent) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if message == nil {
		return unavailable(errors.New("subscription ended"))
	}
	return unavailable(fmt.Errorf("subscription ended: %w", message.SubscriptionDropped.Error))
}
