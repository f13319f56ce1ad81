package es

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"golang.org/x/sync/errgroup"
)

// Batch is a piece of the committed log.
type Batch struct {
	// Events are in log order; there may be none.
	Events []Recorded
	// Position is where the log has been read to: following from here misses
	// nothing and repeats nothing.
	Position Position
	// CaughtUp says that the end of the log was reached at the time. Position is
	// then no less than what [Store.End] gave when following began.
	CaughtUp bool
}

// maxBatch and maxBatchBytes bound a batch. The event that goes beyond the
// second is the last of its batch. Memory holds two: the one being handled and
// the one that is gathered meanwhile.
const (
	maxBatch      = 512
	maxBatchBytes = 4 << 20
)

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
	// Before subscribing: a subscription that has caught up has passed it.
	end, err := callOn(ctx, s, session, readingEnd)
	if err != nil {
		cancel()
		return fmt.Errorf("follow %v: %w", prefixes, err)
	}
	subscription, err := s.subscribe(ctx, session, after, prefixes)
	if err != nil {
		cancel()
		return fmt.Errorf("follow %v: %w", prefixes, err)
	}
	received, batches := make(chan *esdb.SubscriptionEvent), make(chan Batch)
	var reading errgroup.Group
	reading.Go(func() error { receive(ctx, subscription, received); return nil })
	reading.Go(func() error { return gather(ctx, session.gone, received, batches, after) })
	defer func() { // nothing of the subscription stays behind
		cancel()
		_ = reading.Wait()
	}()
	at := after
	for batch := range batches {
		if batch.CaughtUp {
			// The last events may be of other streams, too few for the server to
			// tell how far it has looked.
			at = max(at, end)
		}
		batch.Position = max(batch.Position, at)
		if err := handle(ctx, batch); err != nil {
			return err
		}
		at = batch.Position
	}
	cancel()
	err = reading.Wait()
	if broken, _ := classify(err); broken {
		s.replace(session)
	}
	return fmt.Errorf("follow %v: %w", prefixes, err)
}

// End is the position of the last event in the log, whatever its stream; 0 when
// there is none. Following has missed nothing when it has come this far.
func (s *Store) End(ctx context.Context) (Position, error) {
	end, err := call(ctx, s, readingEnd)
	if err != nil {
		return 0, fmt.Errorf("end of the log: %w", err)
	}
	return end, nil
}

// newestAmong bounds how many events Newest looks at.
const newestAmong = 4096

// Newest looks for the last event after a position, of all streams whose names
// start with one of the prefixes, and returns its position, 0 when there is
// none, and the end of the log when it looked. When more than a few thousand
// events of other streams have come since, the first of these is taken for one.
// Who passes the end that it returned the last time reads little.
func (s *Store) Newest(ctx context.Context, after Position, prefixes []string) (newest, end Position, err error) {
	type found struct{ newest, end Position }
	f, err := call(ctx, s, func(ctx context.Context, client *esdb.Client) (found, error) {
		var f found
		read, err := client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, newestAmong)
		if err != nil {
			return f, err
		}
		defer read.Close()
		var at Position
		for n := 0; ; n++ {
			event, err := read.Recv()
			if errors.Is(err, io.EOF) {
				if n == newestAmong {
					f.newest = at
				}
				return f, nil
			}
			if err != nil {
				return f, err
			}
			at = Position(event.OriginalEvent().Position.Commit)
			f.end = max(f.end, at)
			if at <= after {
				return f, nil
			}
			for _, prefix := range prefixes {
				if strings.HasPrefix(event.OriginalEvent().StreamID, prefix) {
					f.newest = at
					return f, nil
				}
			}
		}
	})
	if err != nil {
		return 0, 0, fmt.Errorf("newest event of %v: %w", prefixes, err)
	}
	return f.newest, f.end, nil
}

func readingEnd(ctx context.Context, client *esdb.Client) (Position, error) {
	read, err := client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	if err != nil {
		return 0, err
	}
	defer read.Close()
	last, err := read.Recv()
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return Position(last.OriginalEvent().Position.Commit), nil
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

// gather offers what has arrived as soon as there is anything, and adds to it
// for as long as nobody takes it, up to what a batch may have. It ends with the
// subscription and returns why that ended; what came before goes first.
func gather(
	ctx context.Context, gone <-chan struct{}, received <-chan *esdb.SubscriptionEvent, batches chan<- Batch, at Position,
) error {
	defer close(batches)
	batch := Batch{Position: at}
	count, bytes := 0, 0
	for {
		arriving, offered := received, batches
		if count == 0 {
			offered = nil
		}
		if count == maxBatch || bytes >= maxBatchBytes {
			arriving = nil
		}
		select {
		case offered <- batch:
			batch = Batch{Position: batch.Position}
			count, bytes = 0, 0
		case message := <-arriving:
			if message == nil || message.SubscriptionDropped != nil {
				if len(batch.Events) > 0 {
					select {
					case batches <- batch:
					case <-ctx.Done():
					}
				}
				return dropped(ctx, message)
			}
			count++
			bytes += batch.add(message)
		case <-gone:
			return errLost
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// add returns how many bytes it has added.
func (b *Batch) add(message *esdb.SubscriptionEvent) (bytes int) {
	switch {
	case message.EventAppeared != nil:
		original := message.EventAppeared.OriginalEvent()
		event := recorded(original)
		b.Events = append(b.Events, event)
		b.Position, b.CaughtUp = event.Position, false
		return len(original.Data) + len(original.UserMetadata)
	case message.CheckPointReached != nil:
		b.Position = max(b.Position, Position(message.CheckPointReached.Commit))
	case message.CaughtUp != nil:
		b.CaughtUp = true
	}
	return 0
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
