package esdbserver_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestBatchNotFinishedByItsDeadlineIsAnsweredAndNotWritten(t *testing.T) {
	soon := time.Now().Add(time.Millisecond)
	tests := map[string]func(*streams.BatchAppendReq_Options){
		"a duration": func(o *streams.BatchAppendReq_Options) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(time.Millisecond)}
		},
		"a negative duration": func(o *streams.BatchAppendReq_Options) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(-time.Hour)}
		},
		"a time": func(o *streams.BatchAppendReq_Options) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(soon)}
		},
		"a time long past": func(o *streams.BatchAppendReq_Options) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: &timestamppb.Timestamp{}}
		},
		"that of the server, which is sooner": func(o *streams.BatchAppendReq_Options) {
			o.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(time.Hour)}
		},
		"that of the server, without any": func(*streams.BatchAppendReq_Options) {},
	}
	store := esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) { c.WriteTimeout = 50 * time.Millisecond }))
	session := newBatchSession(t, store)
	for name, deadline := range tests {
		t.Run(name, func(t *testing.T) {
			m := whole(batchAny("late"), batchEvents("x")...)
			deadline(m.GetOptions())
			m.IsFinal = false
			session.send(m)
			if got := batchOutcome(t, session.receive()); got != "DeadlineExceeded Timeout" {
				t.Error(got)
			}
		})
	}
	session.send(whole(&streams.BatchAppendReq_Options{
		StreamIdentifier: rawStream("s"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{},
		DeadlineOption: &streams.BatchAppendReq_Options_Deadline{Deadline: &durationpb.Duration{Seconds: math.MaxInt64}},
	}))
	if got := batchOutcome(t, session.receive()); got != "InvalidArgument BadRequest" {
		t.Errorf("a duration that is none: %s", got)
	}
	session.ends()
	if got := len(store.All(t)); got != 0 {
		t.Errorf("%d events were written", got)
	}
}

func TestRefusedBatchIsAnsweredOnce(t *testing.T) {
	session := newBatchSession(t, esdbservertest.New(t))
	bad := whole(batchAny("s"), &streams.BatchAppendReq_ProposedMessage{})
	bad.IsFinal = false
	rest := &streams.BatchAppendReq{CorrelationId: bad.GetCorrelationId(), ProposedMessages: batchEvents("x")}
	last := proto.CloneOf(rest)
	last.IsFinal = true
	again := whole(batchAny("s"), batchEvents("y")...)
	again.CorrelationId = bad.GetCorrelationId()
	session.send(bad, rest, last, again)
	for _, want := range []string{"InvalidArgument BadRequest", "revision 0"} {
		if got := batchOutcome(t, session.receive()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	session.ends()
}

// The client may not have heard of it when it sends the rest.
func TestBatchThatIsTooLateIsAnsweredOnce(t *testing.T) {
	store := esdbservertest.New(t)
	session := newBatchSession(t, store)
	late := whole(batchAny("late"), batchEvents("x")...)
	late.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(time.Millisecond)}
	late.IsFinal = false
	session.send(late)
	if got := batchOutcome(t, session.receive()); got != "DeadlineExceeded Timeout" {
		t.Error(got)
	}
	rest := &streams.BatchAppendReq{CorrelationId: late.GetCorrelationId(), ProposedMessages: batchEvents("y"), IsFinal: true}
	session.send(rest, whole(batchAny("s"), batchEvents("z")...))
	if got := batchOutcome(t, session.receive()); got != "revision 0" {
		t.Error(got)
	}
	session.ends()
	if got := len(store.All(t)); got != 1 {
		t.Errorf("%d events were written", got)
	}
}

func TestBatchThatWasNotFinishedIsRefusedWhenTheCallEnds(t *testing.T) {
	store := esdbservertest.New(t)
	session := newBatchSession(t, store)
	m := whole(batchAny("s"), batchEvents("x")...)
	m.IsFinal = false
	session.send(m)
	if err := session.call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	answer := session.receive()
	if detail := new(shared.BadRequest); answer.GetError().GetDetails()[0].UnmarshalTo(detail) != nil || !strings.Contains(detail.GetMessage(), "is_final") {
		t.Errorf("answer %v", answer)
	}
	if _, err := session.call.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if got := len(store.All(t)); got != 0 {
		t.Errorf("%d events were written", got)
	}
}

// What a client begins and does not finish is bounded in number and in bytes; what it finished goes on.
func TestUnfinishedBatchesAreBounded(t *testing.T) {
	begin := func(bytes int) *streams.BatchAppendReq {
		m := whole(batchAny("s"), batchEvents("x")...)
		m.ProposedMessages[0].Data, m.IsFinal = make([]byte, bytes), false
		return m
	}
	for name, test := range map[string]struct {
		bytes, fit int
		says       string
	}{
		"number": {0, 1024, "1024 unfinished batches"},
		"bytes":  {1 << 20, 15, "more than 16777216 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			session := newBatchSession(t, esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) { c.MaxAppendSize = 2 << 20 })))
			first := begin(test.bytes)
			session.send(first)
			for range test.fit - 1 {
				session.send(begin(test.bytes))
			}
			session.send(begin(test.bytes))
			answer := session.receive()
			if detail := new(shared.BadRequest); answer.GetError().GetDetails()[0].UnmarshalTo(detail) != nil || !strings.Contains(detail.GetMessage(), test.says) {
				t.Errorf("answer %v", answer)
			}
			session.send(&streams.BatchAppendReq{CorrelationId: first.GetCorrelationId(), IsFinal: true})
			if got := batchOutcome(t, session.receive()); got != "revision 0" {
				t.Error(got)
			}
		})
	}
}

func TestMessageTooLargeForTheServerEndsTheCallAndNothingElse(t *testing.T) {
	store := esdbservertest.New(t)
	session, bystander := newBatchSession(t, store), newBatchSession(t, store)
	huge := whole(batchAny("s"), batchEvents("x")...)
	huge.ProposedMessages[0].Data = make([]byte, 17<<20)
	_ = session.call.Send(huge) // the reason comes with the answer
	if _, err := session.call.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the call ended with %v", err)
	}
	bystander.send(whole(batchAny("s"), batchEvents("x")...))
	if got := batchOutcome(t, bystander.receive()); got != "revision 0" {
		t.Error(got)
	}
}

func TestBatchesEndWithTheServerOrTheClient(t *testing.T) {
	t.Run("the server", func(t *testing.T) {
		store := esdbservertest.New(t)
		session := newBatchSession(t, store)
		session.send(whole(batchAny("s"), batchEvents("x")...))
		session.receive()
		store.Stop()
		if _, err := session.call.Recv(); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
	})
	t.Run("the client", func(t *testing.T) {
		store := esdbservertest.New(t)
		ctx, cancel := context.WithCancel(withPatience(t))
		call, err := dial(t, store).BatchAppend(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 300 { // more than are written at a time, and no answer is read
			if err := call.Send(whole(batchAny("s"), batchEvents("x")...)); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if _, err := appendRaw(withPatience(t), dial(t, store), "s", rawEvent(uuid.New(), "y")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
