package esdbserver

import (
	"context"
	"errors"
	"io"

	persistentpb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"orderflow/pkg/esdbserver/internal/persistent"
)

// Read connects a consumer to a group: it confirms and then sends events, and takes the answers to them. It sends nothing
// else: the Go clients panic at messages that they do not know.
func (p *persistentService) Read(stream persistentpb.PersistentSubscriptions_ReadServer) error {
	// Subscriptions end when the server does.
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(p.server.stopping, func() { cancel(persistent.ErrClosed) })()

	t, err := p.read(ctx, cancel, stream)
	if err != nil {
		err = p.server.statusOf(persistentError(t, err))
		if trailer := trailerOf(err); trailer != nil {
			stream.SetTrailer(trailer)
		}
	}
	return err
}

func (p *persistentService) read(ctx context.Context, cancel context.CancelCauseFunc, stream persistentpb.PersistentSubscriptions_ReadServer) (group, error) {
	options, err := firstOptions(ctx, stream)
	if err != nil {
		return group{}, err
	}
	t, err := target(options.GetStreamIdentifier(), options.GetAll() != nil, options.GetGroupName())
	switch {
	case err != nil:
		return t, err
	case options.GetBufferSize() < 1:
		return t, invalid("The buffer size %d leaves no room for an event.", options.GetBufferSize())
	}
	return t, p.server.guarded(ctx, toConsume, t.source, func(ctx context.Context, g *guard) error {
		return p.consume(ctx, cancel, stream, t, options, g)
	})
}

// consume sends events as long as the caller may have them.
func (p *persistentService) consume(
	ctx context.Context, cancel context.CancelCauseFunc, stream persistentpb.PersistentSubscriptions_ReadServer,
	t group, options *persistentpb.ReadReq_Options, g *guard,
) error {
	consumer, err := p.server.persistent.Connect(t.source, t.name, int(options.GetBufferSize()), peerOf(stream.Context()))
	if err != nil {
		return err
	}
	defer consumer.Close()
	err = stream.Send(&persistentpb.ReadResp{Content: &persistentpb.ReadResp_SubscriptionConfirmation_{
		SubscriptionConfirmation: &persistentpb.ReadResp_SubscriptionConfirmation{SubscriptionId: persistent.Key(t.source, t.name)},
	}})
	if err != nil {
		return err
	}
	// This ends with the call, if not before: receiving fails then.
	go func() { cancel(takeAnswers(stream, consumer)) }()

	_, uuidAsString := options.GetUuidOption().GetContent().(*persistentpb.ReadReq_Options_UUIDOption_String_)
	for {
		deliveries, err := consumer.Receive(ctx)
		if err != nil {
			if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && cause != nil {
				err = cause
			}
			if errors.Is(err, io.EOF) {
				err = nil // the client has closed its side
			}
			return err
		}
		for _, d := range deliveries {
			if err := p.deliver(ctx, stream, d, uuidAsString, g); err != nil {
				return err
			}
		}
	}
}

// firstOptions waits for the message that every subscription begins with. A client may take its time for it: the server
// stops all the same.
func firstOptions(ctx context.Context, stream persistentpb.PersistentSubscriptions_ReadServer) (*persistentpb.ReadReq_Options, error) {
	type first struct {
		message *persistentpb.ReadReq
		err     error
	}
	received := make(chan first, 1)
	go func() {
		message, err := stream.Recv()
		received <- first{message, err}
	}()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case f := <-received:
		switch {
		case errors.Is(f.err, io.EOF):
			return nil, invalid("The options are missing.")
		case f.err != nil:
			return nil, f.err
		case f.message.GetOptions() == nil:
			return nil, invalid("The first message has the options.")
		}
		return f.message.GetOptions(), nil
	}
}

// takeAnswers takes acknowledgements until the client or the call ends, and says why.
func takeAnswers(stream persistentpb.PersistentSubscriptions_ReadServer, consumer *persistent.Consumer) error {
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		switch content := message.GetContent().(type) {
		case *persistentpb.ReadReq_Ack_:
			ids, err := parseUUIDs(content.Ack.GetIds())
			if err != nil {
				return err
			}
			consumer.Ack(ids)
		case *persistentpb.ReadReq_Nack_:
			ids, err := parseUUIDs(content.Nack.GetIds())
			if err != nil {
				return err
			}
			consumer.Nack(ids, actionOf(content.Nack.GetAction()), content.Nack.GetReason())
		default:
			return invalid("After the options there are only ack and nack.")
		}
	}
}

func actionOf(action persistentpb.ReadReq_Nack_Action) persistent.Action {
	switch action {
	case persistentpb.ReadReq_Nack_Park:
		return persistent.ActionPark
	case persistentpb.ReadReq_Nack_Retry:
		return persistent.ActionRetry
	case persistentpb.ReadReq_Nack_Skip:
		return persistent.ActionSkip
	case persistentpb.ReadReq_Nack_Stop:
		return persistent.ActionStop
	default:
		return persistent.ActionUnknown
	}
}

func parseUUIDs(wire []*shared.UUID) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(wire))
	for _, w := range wire {
		id, err := parseUUID(w)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// peerOf says who calls.
func peerOf(ctx context.Context) persistent.Peer {
	from := persistent.Peer{User: caller(ctx).Name}
	if p, ok := peer.FromContext(ctx); ok {
		from.Address = p.Addr.String()
	}
	if names := metadata.ValueFromIncomingContext(ctx, "connection-name"); len(names) > 0 {
		from.ConnectionName = names[0]
	}
	return from
}

// deliver sends an event. Who may read the group's source may yet not read what a link there points to: the link comes
// without its event then, as in a read.
func (p *persistentService) deliver(
	ctx context.Context, stream persistentpb.PersistentSubscriptions_ReadServer, d persistent.Delivery, uuidAsString bool, g *guard,
) error {
	if err := g.check(); err != nil {
		return err
	}
	event := d.Event
	if !d.FromSource {
		var err error
		if event, err = p.server.readable(ctx, event); err != nil {
			return err
		}
	}
	return stream.SendMsg(encodeDelivery(event, d.Link, int32(d.Retries), uuidAsString))
}
