package esdbserver

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// streamsService is the service event_store.client.streams.Streams.
type streamsService struct {
	streams.UnimplementedStreamsServer
	server *Server
	log    *eventlog.Log
}

// Delete hides a stream's events; see eventlog.Log.Delete.
func (s *streamsService) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	position, err := s.remove(ctx, req.GetOptions().GetStreamIdentifier(), req.GetOptions().GetExpectedStreamRevision(), s.log.Delete)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{
		CommitPosition: uint64(position), PreparePosition: uint64(position),
	}}}, nil
}

// Tombstone ends a stream for good; see eventlog.Log.Tombstone.
func (s *streamsService) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	position, err := s.remove(ctx, req.GetOptions().GetStreamIdentifier(), req.GetOptions().GetExpectedStreamRevision(), s.log.Tombstone)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{Position: &streams.TombstoneResp_Position{
		CommitPosition: uint64(position), PreparePosition: uint64(position),
	}}}, nil
}

func (s *streamsService) remove(
	ctx context.Context, stream *shared.StreamIdentifier, expectation any,
	do func(context.Context, string, eventlog.Expected) (int64, error),
) (int64, error) {
	name, err := writableStream(stream)
	if err != nil {
		return 0, err
	}
	expected, err := expectedOf(expectation)
	if err != nil {
		return 0, err
	}
	if err := s.server.authorize(ctx, toDelete, name); err != nil {
		return 0, err
	}
	return do(ctx, name, expected)
}

// fail answers a unary call with an error and its trailer.
func (s *streamsService) fail(ctx context.Context, err error) error {
	err = s.server.statusOf(err)
	if trailer := trailerOf(err); trailer != nil {
		_ = grpc.SetTrailer(ctx, trailer) // fails only outside a call
	}
	return err
}
