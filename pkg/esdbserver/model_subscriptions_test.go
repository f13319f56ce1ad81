package esdbserver_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// lastWord is the type of the event that ends a test: a subscriber that has seen it has seen everything.
const lastWord = "x-last"

// checkpointAfter is more than any interval between checkpoints that is drawn.
const checkpointAfter = 12

// subscriber follows a stream or $all as a service does: when it is cut off it goes on behind the last event, or the last
// checkpoint, that it has seen.
type subscriber struct {
	client  streams.StreamsClient
	options *streams.ReadReq_Options
	name    string // of the stream, empty for $all

	selects func(modelRecord) bool
	behind  int    // how many of the model's records precede the start
	resume  uint64 // where to go on from: a revision or position

	mu     sync.Mutex
	cutOff context.CancelFunc // ends the running call

	got    []string
	bad    error
	joined chan struct{} // closed when the first call was confirmed
}

// draw makes a subscriber that starts somewhere in what was written.
func (h *history) draw(r *rapid.T, client streams.StreamsClient, streamNames []string) *subscriber {
	s := &subscriber{client: client, joined: make(chan struct{})}
	s.options = &streams.ReadReq_Options{
		CountOption:  &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}
	if rapid.Bool().Draw(r, "to a stream") {
		s.name = rapid.SampledFrom(streamNames).Draw(r, "subscribed stream")
		last := h.last(s.name)
		revision := rapid.Int64Range(-1, last).Draw(r, "behind revision")
		s.resume = uint64(revision)
		s.startBehind(s.resume)
		if revision == last && rapid.Bool().Draw(r, "from the end") {
			s.startAtEnd()
		}
		s.selects = func(record modelRecord) bool { return record.stream == s.name && record.revision > revision }
		return s
	}
	s.selects = func(modelRecord) bool { return true }
	if rapid.Bool().Draw(r, "filtered") {
		s.options.FilterOption, s.selects = filtering(r)
	}
	s.behind = rapid.IntRange(0, len(h.log)).Draw(r, "behind record")
	if s.behind > 0 {
		s.resume = h.positions[s.behind-1]
	}
	s.startBehind(s.resume)
	if s.behind == len(h.log) && rapid.Bool().Draw(r, "from the end") {
		s.startAtEnd()
	}
	return s
}

// startBehind says where the next call starts: behind a revision, or a position of $all. -1 is before everything.
func (s *subscriber) startBehind(at uint64) {
	if s.name != "" {
		from := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: rawStream(s.name)}
		from.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: at}
		if at == math.MaxUint64 {
			from.RevisionOption = &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}}
		}
		s.options.StreamOption = &streams.ReadReq_Options_Stream{Stream: from}
		return
	}
	s.options.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
		AllOption: &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: at, PreparePosition: at}},
	}}
}

func (s *subscriber) startAtEnd() {
	if s.name != "" {
		s.options.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
		return
	}
	s.options.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
}

// run follows until the last word. What comes after position final, when that is known, is after the last word.
func (s *subscriber) run(ctx context.Context, final *atomic.Uint64) {
	for {
		seenLast, err := s.follow(ctx, final)
		switch {
		case seenLast:
			return
		case ctx.Err() != nil, status.Code(err) != codes.Canceled && status.Code(err) != codes.Unavailable:
			s.bad = err
			return
		}
		s.startBehind(s.resume)
	}
}

// follow makes one call.
func (s *subscriber) follow(ctx context.Context, final *atomic.Uint64) (seenLast bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.cutOff = cancel
	s.mu.Unlock()
	call, err := s.client.Read(ctx, &streams.ReadReq{Options: s.options}, grpc.WaitForReady(true))
	if err != nil {
		return false, err
	}
	for {
		answer, err := call.Recv()
		if err != nil {
			return false, err
		}
		switch {
		case answer.GetConfirmation() != nil:
			select {
			case <-s.joined:
			default:
				close(s.joined)
			}
		case answer.GetCheckpoint() != nil:
			at := answer.GetCheckpoint().GetCommitPosition()
			if s.options.GetNoFilter() != nil || at < s.resume {
				return false, fmt.Errorf("a checkpoint at %d after what lies at %d", at, s.resume)
			}
			s.resume = at
			if last := final.Load(); last > 0 && at >= last {
				return true, nil
			}
		case answer.GetEvent() != nil:
			e := answer.GetEvent().GetEvent()
			s.got = append(s.got, seen(answer.GetEvent()))
			if s.resume = e.GetCommitPosition(); s.name != "" {
				s.resume = e.GetStreamRevision()
			}
			if e.GetMetadata()["type"] == lastWord {
				return true, nil
			}
		}
	}
}

// cut ends the running call, as a broken connection does.
func (s *subscriber) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cutOff != nil {
		s.cutOff()
	}
}

// Wherever a subscriber starts, and however often it or the server is interrupted while others write, it gets every event
// that it should once and in order.
func TestSubscribersGetWhatTheModelSays(t *testing.T) {
	t.Parallel()
	// Truncation is kept away from the streams that are subscribed to: what a subscriber of a stream then sees depends on
	// whether it has caught up.
	subscribed, others := []string{"a", "b-1"}, []string{"c", "$sys"}
	rapid.Check(t, func(r *rapid.T) {
		ctx := withPatience(t)
		var options []esdbservertest.Option
		restarts := rapid.Bool().Draw(r, "restarts") // without them writes are faster than subscribers join
		if restarts {
			options = append(options, inDir(t))
		}
		store := esdbservertest.New(t, options...)
		defer store.Stop()
		h := &history{model: model{recent: map[string]int64{}}, client: store.Client(t)}
		write := func() {
			if rapid.Bool().Draw(r, "elsewhere") {
				h.random(r, others)
				return
			}
			h.append(r, rapid.SampledFrom(subscribed).Draw(r, "stream"), rapid.SampledFrom([]string{"x1", "y1"}).Draw(r, "type"), "{}")
		}
		for range rapid.IntRange(0, 15).Draw(r, "writes before") {
			write()
		}
		h.locate(r, store, t)

		connection, err := grpc.NewClient(store.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1, MaxDelay: 5 * time.Millisecond}, MinConnectTimeout: patience,
		}))
		if err != nil {
			r.Fatal(err)
		}
		defer connection.Close()
		ctx, leave := context.WithCancel(ctx)
		var (
			following sync.WaitGroup
			final     atomic.Uint64
		)
		defer following.Wait()
		defer leave()
		var subscribers []*subscriber
		for range rapid.IntRange(1, 4).Draw(r, "subscribers") {
			s := h.draw(r, streams.NewStreamsClient(connection), subscribed)
			subscribers = append(subscribers, s)
			following.Go(func() { s.run(ctx, &final) })
			select {
			case <-s.joined:
			case <-ctx.Done():
				r.Fatal("a subscriber was not confirmed")
			}
		}
		for range rapid.IntRange(1, 40).Draw(r, "writes meanwhile") {
			switch rapid.IntRange(0, 11).Draw(r, "interruption") {
			case 0:
				if !restarts {
					continue
				}
				h.client.Close()
				store.Stop()
				store.Start()
				h.client = store.Client(t)
			case 1, 2:
				rapid.SampledFrom(subscribers).Draw(r, "cut off").cut()
			default:
				write()
			}
		}
		for _, stream := range subscribed {
			h.append(r, stream, lastWord, "{}")
		}
		written := store.All(t)
		final.Store(written[len(written)-1].Position.Commit)
		for range checkpointAfter { // who is told of no last word is told by a checkpoint that there was one
			h.append(r, subscribed[0], lastWord, "{}")
		}
		defer h.client.Close()
		h.compare(r, subscribers, &following)
	})
}

// compare waits for the subscribers and holds what they got against the model.
func (h *history) compare(r *rapid.T, subscribers []*subscriber, following *sync.WaitGroup) {
	following.Wait()
	for i, s := range subscribers {
		if s.bad != nil {
			r.Fatalf("subscriber %d (%v) ended: %v", i, s.options, s.bad)
		}
		var want []string
		for _, record := range h.log[s.behind:] {
			if !s.selects(record) {
				continue
			}
			want = append(want, h.describe(record, false))
			if record.word == lastWord {
				break
			}
		}
		if diff := cmp.Diff(want, s.got); diff != "" {
			r.Fatalf("subscriber %d (%v) (-model +store):\n%s", i, s.options, diff)
		}
	}
}
