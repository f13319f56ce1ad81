package esdbserver

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// addressed completes an answer with what tells the client which batch it is about.
func (b *batch) addressed(response *streams.BatchAppendResp) *streams.BatchAppendResp {
	response.CorrelationId = b.as
	response.StreamIdentifier = b.options.GetStreamIdentifier()
	switch expected := b.options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: expected.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_Any:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_StreamExists:
		response.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: &emptypb.Empty{}}
	}
	return response
}

func batchSuccess(written eventlog.Appended) *streams.BatchAppendResp {
	success := &streams.BatchAppendResp_Success{PositionOption: &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{
		CommitPosition: uint64(written.Position), PreparePosition: uint64(written.Position),
	}}}
	if written.Current < 0 {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}}
	} else {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(written.Current)}
	}
	return &streams.BatchAppendResp{Result: &streams.BatchAppendResp_Success_{Success: success}}
}

// batchError tells why a batch was not written: a status whose text is the name of its one detail. In this call an error
// is an answer like others.
func (s *streamsService) batchError(err error) *streams.BatchAppendResp {
	var (
		wrong   *eventlog.WrongExpectedVersionError
		deleted *eventlog.StreamDeletedError
		named   *refusal
	)
	switch {
	case errors.As(err, &wrong):
		return batchStatus(codes.AlreadyExists, wrongVersionDetail(wrong))
	case errors.As(err, &deleted):
		return batchStatus(codes.NotFound, &shared.StreamDeleted{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(deleted.Stream)},
		})
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, eventlog.ErrTimeout):
		return batchStatus(codes.DeadlineExceeded, &shared.Timeout{})
	case errors.As(err, &named) && named.code == codes.PermissionDenied:
		return batchStatus(codes.PermissionDenied, &shared.AccessDenied{})
	case errors.As(err, &named) && named.exception() == exceptionAppendSize:
		return batchStatus(codes.InvalidArgument, &shared.MaximumAppendSizeExceeded{
			MaxAppendSize: uint32(min(s.server.config.MaxAppendSize, math.MaxUint32)),
		})
	case errors.As(err, &named) && named.exception() == exceptionAppendEventSize:
		return eventTooLarge(named)
	}
	if known, ok := status.FromError(err); ok { // a request that makes no sense
		return batchStatus(codes.InvalidArgument, &shared.BadRequest{Message: known.Message()})
	}
	_ = s.server.statusOf(err) // for the log: the client learns no more than that it failed
	return batchStatus(codes.Unknown, &shared.Unknown{})
}

func batchStatus(code codes.Code, detail protoadapt.MessageV1) *streams.BatchAppendResp {
	name := string(protoadapt.MessageV2Of(detail).ProtoReflect().Descriptor().Name())
	failure, err := status.New(code, name).WithDetails(detail)
	if err != nil { // the detail cannot be encoded: say the rest
		failure = status.New(code, name)
	}
	return &streams.BatchAppendResp{Result: &streams.BatchAppendResp_Error{Error: failure.Proto()}}
}

func wrongVersionDetail(e *eventlog.WrongExpectedVersionError) *shared.WrongExpectedVersion {
	detail := &shared.WrongExpectedVersion{}
	if e.Current < 0 {
		detail.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}}
	} else {
		detail.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(e.Current)}
	}
	switch e.Expected {
	case eventlog.Any:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case eventlog.StreamExists:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case eventlog.NoStream:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	default:
		detail.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: uint64(e.Expected)}
	}
	return detail
}

// eventTooLarge is written by hand: the protocol has a message for it that the generated code of the Go client lacks, with
// the event's id (1), its size (2) and the limit (3).
func eventTooLarge(r *refusal) *streams.BatchAppendResp {
	const name = "MaximumAppendEventSizeExceeded"
	value := protowire.AppendTag(nil, 1, protowire.BytesType)
	value = protowire.AppendString(value, r.told("event-id"))
	for i, key := range []string{"proposed-append-event-size", "maximum-append-event-size"} {
		field := protowire.Number(2 + i)
		number, err := strconv.ParseUint(r.told(key), 10, 32)
		if err != nil {
			continue // larger than the field can say
		}
		value = protowire.AppendTag(value, field, protowire.VarintType)
		value = protowire.AppendVarint(value, number)
	}
	failure := status.New(codes.InvalidArgument, name).Proto()
	failure.Details = []*anypb.Any{{TypeUrl: "type.googleapis.com/event_store.client." + name, Value: value}}
	return &streams.BatchAppendResp{Result: &streams.BatchAppendResp_Error{Error: failure}}
}
