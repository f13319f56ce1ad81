package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

// batchSession is one call of BatchAppend, as a client that is no Go client would make it.
type batchSession struct {
	t    *testing.T
	call streams.Streams_BatchAppendClient
}

func newBatchSession(t *testing.T, store *esdbservertest.Server) *batchSession {
	t.Helper()
	call, err := dial(t, store).BatchAppend(withPatience(t))
	if err != nil {
		t.Fatal(err)
	}
	return &batchSession{t: t, call: call}
}

func (s *batchSession) send(messages ...*streams.BatchAppendReq) {
	s.t.Helper()
	for _, m := range messages {
		if err := s.call.Send(m); err != nil {
			s.t.Fatalf("send: %v", err)
		}
	}
}

func (s *batchSession) receive() *streams.BatchAppendResp {
	s.t.Helper()
	answer, err := s.call.Recv()
	if err != nil {
		s.t.Fatalf("receive: %v", err)
	}
	return answer
}

// ends half-closes the call and checks that nothing more comes.
func (s *batchSession) ends() {
	s.t.Helper()
	if err := s.call.CloseSend(); err != nil {
		s.t.Fatal(err)
	}
	if answer, err := s.call.Recv(); !errors.Is(err, io.EOF) {
		s.t.Errorf("after the last message: %v, %v", answer, err)
	}
}

func textID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

func batchAny(stream string) *streams.BatchAppendReq_Options {
	return &streams.BatchAppendReq_Options{
		StreamIdentifier: rawStream(stream), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
	}
}

func batchAt(stream string, revision uint64) *streams.BatchAppendReq_Options {
	return &streams.BatchAppendReq_Options{
		StreamIdentifier: rawStream(stream), ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: revision},
	}
}

func batchEvents(types ...string) (events []*streams.BatchAppendReq_ProposedMessage) {
	for _, eventType := range types {
		e := rawEvent(uuid.New(), eventType)
		events = append(events, &streams.BatchAppendReq_ProposedMessage{Id: e.GetId(), Metadata: e.GetMetadata(), Data: e.GetData()})
	}
	return events
}

// whole is a batch in one message.
func whole(options *streams.BatchAppendReq_Options, events ...*streams.BatchAppendReq_ProposedMessage) *streams.BatchAppendReq {
	return &streams.BatchAppendReq{CorrelationId: textID(uuid.New()), Options: options, ProposedMessages: events, IsFinal: true}
}

// batchOutcome puts an answer in words.
func batchOutcome(t *testing.T, answer *streams.BatchAppendResp) string {
	t.Helper()
	if success := answer.GetSuccess(); success != nil {
		if success.GetNoStream() != nil {
			return "no stream"
		}
		if success.GetPosition().GetCommitPosition() == 0 {
			t.Errorf("no position in %v", answer)
		}
		return fmt.Sprintf("revision %d", success.GetCurrentRevision())
	}
	failure := answer.GetError()
	if len(failure.GetDetails()) != 1 {
		t.Fatalf("%d details in %v", len(failure.GetDetails()), answer)
	}
	name := string(failure.GetDetails()[0].MessageName().Name())
	if name != failure.GetMessage() {
		t.Errorf("the text is %q and the detail %s", failure.GetMessage(), name)
	}
	return fmt.Sprintf("%v %s", codes.Code(failure.GetCode()), name)
}

func TestEveryBatchIsAnsweredAndTheCallGoesOn(t *testing.T) {
	store := esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) { c.MaxAppendSize, c.MaxAppendEventSize = 1000, 800 }))
	s := newScript(t)
	s.store, s.client = store, store.Client(t)
	for _, line := range []string{"append any: a b c"} {
		s.do(line)
	}
	if _, err := dial(t, store).Tombstone(withPatience(t), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: rawStream("ended"), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
	}}); err != nil {
		t.Fatal(err)
	}
	large := batchEvents("x", "y")
	large[0].Data, large[1].Data = make([]byte, 600), make([]byte, 600)
	huge := batchEvents("x")
	huge[0].Data = make([]byte, 900)
	noType, noID := batchEvents("x"), batchEvents("x")
	delete(noType[0].Metadata, "type")
	noID[0].Id = nil
	none := &streams.BatchAppendReq_Options{
		StreamIdentifier: rawStream("new"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
	}
	exists := &streams.BatchAppendReq_Options{
		StreamIdentifier: rawStream("never"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}},
	}
	tests := []struct {
		name   string
		batch  *streams.BatchAppendReq
		want   string
		detail proto.Message
	}{
		{"any", whole(batchAny("s"), batchEvents("d", "e")...), "revision 4", nil},
		{"a revision", whole(batchAt("s", 4), batchEvents("f")...), "revision 5", nil},
		{"no stream", whole(none, batchEvents("a")...), "revision 0", nil},
		{"nothing to write", whole(batchAny("s")), "revision 5", nil},
		{"nothing to write to a stream that is not there", whole(batchAny("other")), "no stream", nil},
		{"the wrong revision", whole(batchAt("s", 1), batchEvents("x")...), "AlreadyExists WrongExpectedVersion", &shared.WrongExpectedVersion{
			CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: 5},
			ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: 1},
		}},
		{"no stream, but there is one", whole(none, batchEvents("b")...), "AlreadyExists WrongExpectedVersion", &shared.WrongExpectedVersion{
			CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: 0},
			ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}},
		}},
		{"a stream that should exist", whole(exists, batchEvents("b")...), "AlreadyExists WrongExpectedVersion", &shared.WrongExpectedVersion{
			CurrentStreamRevisionOption:  &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}},
			ExpectedStreamPositionOption: &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}},
		}},
		{"a tombstoned stream", whole(batchAny("ended"), batchEvents("x")...), "NotFound StreamDeleted", &shared.StreamDeleted{StreamIdentifier: rawStream("ended")}},
		{"more than one append may hold", whole(batchAny("s"), large...), "InvalidArgument MaximumAppendSizeExceeded", &shared.MaximumAppendSizeExceeded{MaxAppendSize: 1000}},
		{"more than one event may hold", whole(batchAny("s"), huge...), "InvalidArgument MaximumAppendEventSizeExceeded", nil},
		{"no correlation id", &streams.BatchAppendReq{Options: batchAny("s"), IsFinal: true}, "InvalidArgument BadRequest", nil},
		{"no options", whole(nil, batchEvents("x")...), "InvalidArgument BadRequest", nil},
		{"options without anything", whole(&streams.BatchAppendReq_Options{}), "InvalidArgument BadRequest", nil},
		{"no expected position", whole(&streams.BatchAppendReq_Options{StreamIdentifier: rawStream("s")}), "InvalidArgument BadRequest", nil},
		{"a position out of range", whole(batchAt("s", math.MaxInt64+1)), "InvalidArgument BadRequest", nil},
		{"the stream $all", whole(batchAny("$all"), batchEvents("x")...), "InvalidArgument BadRequest", nil},
		{"an event without a type", whole(batchAny("s"), noType...), "InvalidArgument BadRequest", nil},
		{"an event without an id", whole(batchAny("s"), noID...), "InvalidArgument BadRequest", nil},
		{"a good one in the end", whole(batchAt("s", 5), batchEvents("g")...), "revision 6", nil},
	}
	session := newBatchSession(t, store)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			session.send(test.batch)
			answer := session.receive()
			if got := batchOutcome(t, answer); got != test.want {
				t.Errorf("%s, want %s (%v)", got, test.want, answer)
			}
			if diff := cmp.Diff(test.batch.GetCorrelationId(), answer.GetCorrelationId(), protocmp.Transform()); diff != "" {
				t.Errorf("correlation id (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.batch.GetOptions().GetStreamIdentifier(), answer.GetStreamIdentifier(), protocmp.Transform()); diff != "" {
				t.Errorf("stream (-want +got):\n%s", diff)
			}
			if want, got := expectedInWords(test.batch.GetOptions()), expectedInWords(answer); want != got {
				t.Errorf("expected position %s, want %s", got, want)
			}
			if test.detail == nil {
				return
			}
			detail, err := answer.GetError().GetDetails()[0].UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.detail, detail, protocmp.Transform()); diff != "" {
				t.Errorf("detail (-want +got):\n%s", diff)
			}
		})
	}
	session.ends()
	if got := s.content("s"); got != "0:a 1:b 2:c 3:d 4:e 5:f 6:g" {
		t.Errorf("the stream has %s", got)
	}
}

// expectedInWords reads the expected position that a batch or its answer names.
func expectedInWords(m interface {
	GetStreamPosition() uint64
	GetNoStream() *emptypb.Empty
	GetAny() *emptypb.Empty
	GetStreamExists() *emptypb.Empty
},
) string {
	switch {
	case m.GetNoStream() != nil:
		return "none"
	case m.GetAny() != nil:
		return "any"
	case m.GetStreamExists() != nil:
		return "exists"
	}
	return fmt.Sprint(m.GetStreamPosition())
}

// appendAsBatch appends the events that words stand for in a call of its own, and returns the outcome in the words of a
// script.
func appendAsBatch(t *testing.T, client streams.StreamsClient, stream, expected string, words []string) string {
	t.Helper()
	options := batchAny(stream)
	switch e := expectation(t, expected).(type) {
	case esdb.NoStream:
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	case esdb.StreamExists:
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
	case esdb.StreamRevision:
		options = batchAt(stream, e.Value)
	}
	m := whole(options)
	for _, word := range words {
		e := event(word)
		m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id: textID(e.EventID), Metadata: map[string]string{"type": word, "content-type": "application/json"}, Data: e.Data, CustomMetadata: e.Metadata,
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	call, err := client.BatchAppend(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err.Error()
	}
	if err := call.Send(m); err != nil {
		return err.Error()
	}
	answer, err := call.Recv()
	if err != nil {
		return err.Error()
	}
	switch got := batchOutcome(t, answer); got {
	case "AlreadyExists WrongExpectedVersion":
		return "wrong version"
	case "NotFound StreamDeleted":
		return "stream deleted"
	case "no stream":
		return "revision 1" // what the Go client makes of it
	default:
		return got
	}
}

// Two writers send the same batches at the same time, as one does that got no answer: each is written once.
func TestBatchThatIsRepeatedIsWrittenOnce(t *testing.T) {
	store := esdbservertest.New(t, inDir(t))
	const batches = 100
	var repeated []*streams.BatchAppendReq
	for i := range uint64(batches) {
		repeated = append(repeated, whole(batchAt("s", 2*i-1), batchEvents("x", "y")...)) // -1 is no stream
	}
	var writers sync.WaitGroup
	for range 4 {
		session := newBatchSession(t, store)
		writers.Go(func() {
			for i, m := range repeated {
				if err := session.call.Send(m); err != nil {
					t.Errorf("send: %v", err)
					return
				}
				answer, err := session.call.Recv()
				if err != nil || answer.GetSuccess().GetCurrentRevision() != uint64(2*i+1) {
					t.Errorf("batch %d: %v, %v", i, answer, err)
					return
				}
			}
		})
	}
	writers.Wait()
	if got := len(store.Events(t, "s")); got != 2*batches {
		t.Errorf("%d events are stored, want %d", got, 2*batches)
	}
}

func TestBatchesMayComeInPiecesAndMixed(t *testing.T) {
	store := esdbservertest.New(t)
	session := newBatchSession(t, store)
	const batches, pieces = 50, 4
	want := map[string]string{}
	for piece := range pieces {
		for b := range batches {
			id := uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(b)})
			m := &streams.BatchAppendReq{
				CorrelationId: textID(id), IsFinal: piece == pieces-1,
				ProposedMessages: batchEvents(fmt.Sprintf("type-%d-%d", b, piece), "next"),
			}
			if piece%2 == 1 { // the other form of the same id
				m.CorrelationId = structuredID(id)
			}
			if piece < 2 { // options that come again are ignored
				m.Options = batchAny(fmt.Sprintf("stream-%d-%d", b, piece))
			}
			session.send(m)
			want[id.String()] = fmt.Sprintf("stream-%d-0 revision %d", b, 2*pieces-1)
		}
	}
	got := map[string]string{}
	for range batches {
		answer := session.receive()
		got[answer.GetCorrelationId().GetString_()] = string(answer.GetStreamIdentifier().GetStreamName()) + " " + batchOutcome(t, answer)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	session.ends()
	for i, e := range store.Events(t, "stream-7-0") {
		if want := []string{fmt.Sprintf("type-7-%d", i/2), "next"}[i%2]; e.EventType != want {
			t.Errorf("event %d is %s, want %s", i, e.EventType, want)
		}
	}
}

func structuredID(id uuid.UUID) *shared.UUID {
	var most, least uint64
	for i := range 8 {
		most, least = most<<8|uint64(id[i]), least<<8|uint64(id[8+i])
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: int64(most), LeastSignificantBits: int64(least),
	}}}
}

// Each batch expects the revision that the one before leaves, and none waits for an answer.
func TestBatchesOfOneStreamAreWrittenAndAnsweredInOrderWithoutWaiting(t *testing.T) {
	store := esdbservertest.New(t, inDir(t))
	session := newBatchSession(t, store)
	const batches = 1000
	sent := make(chan error, 1)
	go func() {
		for i := range uint64(batches) {
			if err := session.call.Send(whole(batchAt("s", i-1), batchEvents("x")...)); err != nil { // -1 is no stream
				sent <- err
				return
			}
		}
		sent <- session.call.CloseSend()
	}()
	for i := range uint64(batches) {
		if got := session.receive().GetSuccess(); got == nil || got.GetCurrentRevision() != i {
			t.Fatalf("answer %d: %v", i, got)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, err := session.call.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("in the end: %v", err)
	}
}
