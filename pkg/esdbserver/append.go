package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Append writes the events that the client streams. A refused request is still read to its end before it is answered:
// the Go client would otherwise see its stream break instead of the reason.
func (s *streamsService) Append(stream streams.Streams_AppendServer) error {
	request, err := s.receiveAppend(stream)
	if err == nil {
		var answer *streams.AppendResp
		if answer, err = s.append(stream.Context(), request); err == nil {
			return stream.SendAndClose(answer)
		}
	}
	err = s.server.statusOf(err)
	if trailer := trailerOf(err); trailer != nil {
		stream.SetTrailer(trailer)
	}
	return err
}

// appendRequest is a whole append as it came in.
type appendRequest struct {
	stream   string
	expected eventlog.Expected
	events   []eventlog.Proposed
	seen     uint64 // changes of lists before the right to it was looked at
}

// receiveAppend reads a request to its end, or to the first error of the connection. It stops collecting as soon as the
// request is bound to be refused, so that what it holds in memory is bounded.
func (s *streamsService) receiveAppend(stream streams.Streams_AppendServer) (request appendRequest, err error) {
	var refused error
	size, started := 0, false
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return request, err
		}
		if refused != nil {
			continue
		}
		switch content := message.GetContent().(type) {
		case *streams.AppendReq_Options_:
			if started {
				refused = invalid("The options come once, in the first message.")
				continue
			}
			started, request.seen = true, s.server.listChanges()
			if request.stream, request.expected, refused = appendOptions(content.Options); refused == nil {
				refused = s.server.authorize(stream.Context(), toWrite, request.stream)
			}
		case *streams.AppendReq_ProposedMessage_:
			if !started {
				refused = invalid("The first message must carry the options.")
				continue
			}
			var event eventlog.Proposed
			if event, refused = proposed(content.ProposedMessage); refused == nil {
				size += event.Size()
				refused = s.checkSizes(event, size)
				request.events = append(request.events, event)
			}
		default:
			refused = invalid("A message of an append carries options or an event.")
		}
	}
	if refused == nil && !started {
		refused = invalid("An append begins with its options.")
	}
	return request, refused
}

func appendOptions(options *streams.AppendReq_Options) (stream string, expected eventlog.Expected, err error) {
	if stream, err = writableStream(options.GetStreamIdentifier()); err != nil {
		return "", 0, err
	}
	expected, err = expectedOf(options.GetExpectedStreamRevision())
	return stream, expected, err
}

// writableStream reads the name of a stream to write to, which cannot be $all.
func writableStream(id *shared.StreamIdentifier) (string, error) {
	name, err := streamName(id)
	if err == nil && name == "$all" {
		err = invalid("$all is not a stream that can be written to.")
	}
	return name, err
}

// expectedOf reads the expected revision from the oneof of Append, BatchAppend, Delete or Tombstone.
func expectedOf(oneof any) (eventlog.Expected, error) {
	var number uint64
	switch v := oneof.(type) {
	case *streams.AppendReq_Options_Any, *streams.BatchAppendReq_Options_Any,
		*streams.DeleteReq_Options_Any, *streams.TombstoneReq_Options_Any:
		return eventlog.Any, nil
	case *streams.AppendReq_Options_NoStream, *streams.BatchAppendReq_Options_NoStream,
		*streams.DeleteReq_Options_NoStream, *streams.TombstoneReq_Options_NoStream:
		return eventlog.NoStream, nil
	case *streams.AppendReq_Options_StreamExists, *streams.BatchAppendReq_Options_StreamExists,
		*streams.DeleteReq_Options_StreamExists, *streams.TombstoneReq_Options_StreamExists:
		return eventlog.StreamExists, nil
	case *streams.AppendReq_Options_Revision:
		number = v.Revision
	case *streams.BatchAppendReq_Options_StreamPosition:
		number = v.StreamPosition
	case *streams.DeleteReq_Options_Revision:
		number = v.Revision
	case *streams.TombstoneReq_Options_Revision:
		number = v.Revision
	default:
		return 0, invalid("The expected revision is missing.")
	}
	revision, isMax, err := revisionOf(number)
	if isMax {
		return eventlog.NoStream, nil
	}
	return eventlog.Expected(revision), err
}

// proposedMessage is an event as Append and BatchAppend carry it, each in a message of its own.
type proposedMessage interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

// proposed reads an event. Its content type decides whether it counts as JSON; the data is never looked at.
func proposed(m proposedMessage) (eventlog.Proposed, error) {
	eventType, hasType := m.GetMetadata()[keyType]
	contentType, hasContentType := m.GetMetadata()[keyContentType]
	if !hasType || !hasContentType {
		return eventlog.Proposed{}, refuse(codes.InvalidArgument, exceptionMissingMetadata,
			"Required Metadata Properties 'type,content-type' are missing",
			"required-metadata-properties", keyType+","+keyContentType)
	}
	if eventType == "" {
		return eventlog.Proposed{}, unknown("The event type is empty.")
	}
	id, err := parseUUID(m.GetId())
	if err != nil {
		return eventlog.Proposed{}, err
	}
	if id == uuid.Nil {
		return eventlog.Proposed{}, unknown("The event id is empty.")
	}
	return eventlog.Proposed{
		ID: id, Type: eventType, JSON: contentType == contentJSON, Data: m.GetData(), Metadata: m.GetCustomMetadata(),
	}, nil
}

func (s *streamsService) checkSizes(event eventlog.Proposed, total int) error {
	if limit := s.server.config.MaxAppendEventSize; limit > 0 && event.Size() > limit {
		return refuse(codes.InvalidArgument, exceptionAppendEventSize,
			fmt.Sprintf("Event with Id: %s, Size: %d, exceeds Maximum Append Event Size of %d.", event.ID, event.Size(), limit),
			"maximum-append-event-size", strconv.Itoa(limit),
			"event-id", event.ID.String(),
			"proposed-append-event-size", strconv.Itoa(event.Size()))
	}
	if limit := s.server.config.MaxAppendSize; total > limit {
		return refuse(codes.InvalidArgument, exceptionAppendSize,
			fmt.Sprintf("Maximum Append Size of %d Exceeded.", limit),
			"maximum-append-size", strconv.Itoa(limit))
	}
	return nil
}

// append writes the events. A wrong expected version is an answer here, not an error.
func (s *streamsService) append(ctx context.Context, request appendRequest) (*streams.AppendResp, error) {
	if err := s.server.authorizeAgain(ctx, toWrite, request.stream, request.seen); err != nil {
		return nil, err
	}
	answer, err := s.log.Append(ctx, request.stream, request.expected, request.events)
	var wrong *eventlog.WrongExpectedVersionError
	if errors.As(err, &wrong) {
		return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrongVersionAnswer(wrong)}}, nil
	}
	if err != nil {
		return nil, err
	}
	success := &streams.AppendResp_Success{PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
		CommitPosition: uint64(answer.Position), PreparePosition: uint64(answer.Position),
	}}}
	if answer.Current < 0 {
		success.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
	} else {
		success.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(answer.Current)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}}, nil
}
