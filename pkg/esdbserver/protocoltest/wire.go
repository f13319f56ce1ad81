package protocoltest

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// wire is the server without the official client, which hides how an error was told.
type wire struct {
	*world
	streams streams.StreamsClient
	trailer metadata.MD // of the last call
}

func newWire(t *testing.T, server Server) *wire {
	t.Helper()
	w := &wire{world: newWorld(t, server)}
	config := configuration(t, server)
	secure := insecure.NewCredentials()
	if !config.DisableTLS {
		secure = credentials.NewTLS(&tls.Config{RootCAs: config.RootCAs, InsecureSkipVerify: config.SkipCertificateVerification})
	}
	connection, err := grpc.NewClient(config.Address, grpc.WithTransportCredentials(secure), grpc.WithPerRPCCredentials(basic(config.Username+":"+config.Password)))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = connection.Close() }) // closed once
	w.streams = streams.NewStreamsClient(connection)
	return w
}

// basic is a login and password that every call carries.
type basic string

func (b basic) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == ":" {
		return nil, nil
	}
	return map[string]string{"authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(b))}, nil
}

func (basic) RequireTransportSecurity() bool { return false }

func (w *wire) id(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(w.Stream(stream))}
}

// proposal is an event as it is sent. Without a type or an id these are left out.
func proposal(id *shared.UUID, eventType string) *streams.AppendReq_ProposedMessage {
	event := &streams.AppendReq_ProposedMessage{Id: id, Metadata: map[string]string{"content-type": "application/json"}}
	if eventType != "" {
		event.Metadata["type"] = eventType
	}
	return event
}

// send appends events. Without options any revision is expected.
func (w *wire) send(stream string, options *streams.AppendReq_Options, events ...*streams.AppendReq_ProposedMessage) (*streams.AppendResp, error) {
	if options == nil {
		options = &streams.AppendReq_Options{ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}}}
	}
	options = proto.CloneOf(options)
	options.StreamIdentifier = w.id(stream)
	call, err := w.streams.Append(within(w.t), grpc.Trailer(&w.trailer))
	if err != nil {
		return nil, err
	}
	messages := []*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: options}}}
	for _, event := range events {
		messages = append(messages, &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: event}})
	}
	for _, message := range messages {
		if err := call.Send(message); err != nil {
			break // the reason comes with the answer
		}
	}
	return call.CloseAndRecv()
}

// append writes one event.
func (w *wire) append(stream string, event *streams.AppendReq_ProposedMessage) error {
	_, err := w.send(stream, nil, event)
	return err
}

// ofStream asks for the first events of a stream.
func (w *wire) ofStream(stream string, count uint64) *streams.ReadReq_Options {
	return &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: w.id(stream), RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &streams.ReadReq_Options_Count{Count: count},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   asText(),
	}
}

func (w *wire) read(options *streams.ReadReq_Options) error {
	_, err := w.messages(options)
	return err
}

// messages reads to the end and puts each message in a word.
func (w *wire) messages(options *streams.ReadReq_Options) (words []string, err error) {
	call, err := w.streams.Read(within(w.t), &streams.ReadReq{Options: options}, grpc.Trailer(&w.trailer))
	if err != nil {
		return nil, err
	}
	for {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return words, nil
		}
		if err != nil {
			return words, err
		}
		switch content := message.GetContent().(type) {
		case *streams.ReadResp_Event:
			words = append(words, content.Event.GetEvent().GetMetadata()["type"])
		case *streams.ReadResp_FirstStreamPosition:
			words = append(words, fmt.Sprintf("first=%d", content.FirstStreamPosition))
		case *streams.ReadResp_LastStreamPosition:
			words = append(words, fmt.Sprintf("last=%d", content.LastStreamPosition))
		default:
			words = append(words, fmt.Sprintf("%T", content))
		}
	}
}

func (w *wire) remove(stream string, expecting *streams.DeleteReq_Options) error {
	expecting.StreamIdentifier = w.id(stream)
	_, err := w.streams.Delete(within(w.t), &streams.DeleteReq{Options: expecting}, grpc.Trailer(&w.trailer))
	return err
}

func deleteAny() *streams.DeleteReq_Options {
	return &streams.DeleteReq_Options{ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}}
}

func deleteFive() *streams.DeleteReq_Options {
	return &streams.DeleteReq_Options{ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 5}}
}

func (w *wire) tombstone(stream string, expecting *streams.TombstoneReq_Options) error {
	expecting.StreamIdentifier = w.id(stream)
	_, err := w.streams.Tombstone(within(w.t), &streams.TombstoneReq{Options: expecting}, grpc.Trailer(&w.trailer))
	return err
}

func tombstoneAny() *streams.TombstoneReq_Options {
	return &streams.TombstoneReq_Options{ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}}
}

func tombstoneNoStream() *streams.TombstoneReq_Options {
	return &streams.TombstoneReq_Options{ExpectedStreamRevision: &streams.TombstoneReq_Options_NoStream{NoStream: &shared.Empty{}}}
}

func tombstoneExisting() *streams.TombstoneReq_Options {
	return &streams.TombstoneReq_Options{ExpectedStreamRevision: &streams.TombstoneReq_Options_StreamExists{StreamExists: &shared.Empty{}}}
}
