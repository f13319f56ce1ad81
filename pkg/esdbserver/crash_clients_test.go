package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errCrashRule is a promise broken, where any other error is what the clients of a killed server get.
var errCrashRule = errors.New("a promise is broken")

// notKilled takes note of an error that has another reason than the end of the server.
func (k *crashKnowledge) notKilled(err error) {
	if status.Code(err) == codes.Unavailable {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrong = append(k.wrong, fmt.Sprintf("a client ended with %v", err))
}

// remove makes streams and deletes them in every way there is.
func (k *crashKnowledge) remove(ctx context.Context, client streams.StreamsClient, prefix string) error {
	for i := 0; ; i++ {
		stream := fmt.Sprintf("%s-%d", prefix, i)
		if err := k.appendOne(ctx, client, stream, rawEvent(uuid.New(), "doomed")); err != nil {
			return err
		}
		if i%4 == 0 {
			answer, err := client.Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
				StreamIdentifier: rawStream(stream), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: empty},
			}})
			if err != nil {
				return err
			}
			k.fact(answer.GetPosition().GetCommitPosition(), stream, "$streamDeleted")
			continue
		}
		if i%4 == 1 {
			settings := rawEvent(uuid.New(), "$metadata")
			settings.Data = []byte(`{"$maxCount":1}`)
			if err := k.appendOne(ctx, client, "$$"+stream, settings); err != nil {
				return err
			}
		}
		answer, err := client.Delete(ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
			StreamIdentifier: rawStream(stream), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: empty},
		}})
		if err != nil {
			return err
		}
		k.fact(answer.GetPosition().GetCommitPosition(), "$$"+stream, "$metadata")
		if i%4 == 3 { // comes back
			if err := k.appendOne(ctx, client, stream, rawEvent(uuid.New(), "doomed")); err != nil {
				return err
			}
		}
	}
}

func (k *crashKnowledge) appendOne(ctx context.Context, client streams.StreamsClient, stream string, event *streams.AppendReq_ProposedMessage) error {
	answer, err := appendRaw(ctx, client, stream, event)
	if err != nil {
		return err
	}
	k.fact(answer.GetSuccess().GetPosition().GetCommitPosition(), stream, event.GetMetadata()["type"])
	return nil
}

// watch notes all that a read or a subscription gets. A subscription ends with the error of the server's end; what it got
// of one stream has no gap.
func (k *crashKnowledge) watch(ctx context.Context, client streams.StreamsClient, options *streams.ReadReq_Options, stream string) error {
	call, err := client.Read(ctx, &streams.ReadReq{Options: options})
	if err != nil {
		return err
	}
	for next := uint64(0); ; {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e := message.GetEvent().GetEvent()
		if e == nil {
			continue
		}
		if stream != "" && e.GetStreamRevision() != next {
			return fmt.Errorf("%w: a subscriber to %s got revision %d after %d events", errCrashRule, stream, e.GetStreamRevision(), next)
		}
		next++
		id, err := uuid.Parse(e.GetId().GetString_())
		if err != nil {
			return fmt.Errorf("%w: event id: %w", errCrashRule, err)
		}
		k.saw(e.GetCommitPosition(), crashText(string(e.GetStreamIdentifier().GetStreamName()), e.GetStreamRevision(), id, e.GetMetadata()["type"], e.GetData()))
	}
}

func crashText(stream string, revision uint64, id uuid.UUID, eventType string, data []byte) string {
	return fmt.Sprintf("%s/%d %s %s %s", stream, revision, id, eventType, data)
}

func allFromStart() *streams.ReadReq_Options {
	return changed(tenOfAll, func(o *streams.ReadReq_Options) { o.CountOption = subscribing })
}

func allFromEnd() *streams.ReadReq_Options {
	return changed(tenOfAll, func(o *streams.ReadReq_Options) {
		o.CountOption = subscribing
		o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: empty}
	})
}

func streamFromStart(name string) *streams.ReadReq_Options {
	return changed(tenOfStream, func(o *streams.ReadReq_Options) {
		o.CountOption = subscribing
		o.GetStream().StreamIdentifier = rawStream(name)
	})
}

func lastOfAll(n uint64) *streams.ReadReq_Options {
	return changed(tenOfAll, func(o *streams.ReadReq_Options) {
		o.CountOption = &streams.ReadReq_Options_Count{Count: n}
		o.ReadDirection = streams.ReadReq_Options_Backwards
		o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: empty}
	})
}

// appendAt appends behind the event before revision next, or to a stream that does not exist when next is 0.
func appendAt(ctx context.Context, client streams.StreamsClient, stream string, next uint64, events ...*streams.AppendReq_ProposedMessage) (*streams.AppendResp, error) {
	options := &streams.AppendReq_Options{StreamIdentifier: rawStream(stream), ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: empty}}
	if next > 0 {
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: next - 1}
	}
	messages := []*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: options}}}
	for _, e := range events {
		messages = append(messages, proposedMessage(e))
	}
	return sendAppend(ctx, client, nil, messages...)
}

func crashEventID(first uuid.UUID, i int) uuid.UUID {
	if i == 0 {
		return first
	}
	return uuid.NewSHA1(first, []byte{byte(i)})
}

func crashEvents(first uuid.UUID) []*streams.AppendReq_ProposedMessage {
	var events []*streams.AppendReq_ProposedMessage
	for i := range crashBatch {
		events = append(events, rawEvent(crashEventID(first, i), "crashed"))
	}
	return events
}
