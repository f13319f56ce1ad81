package esdbservertest

import (
	"context"
	"errors"
	"io"
	"math"
	"sync/atomic"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
)

// enter is what every call passes first.
func (f *faults) enter(ctx context.Context) error {
	if err := f.calls.pass(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unavailable > 0 {
		return errUnavailable
	}
	return nil
}

func (f *faults) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if f.concern(ctx) {
		if err := f.enter(ctx); err != nil {
			return nil, err
		}
	}
	return handler(ctx, req)
}

func (f *faults) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !f.concern(stream.Context()) {
		return handler(srv, stream)
	}
	if err := f.enter(stream.Context()); err != nil {
		if info.FullMethod == streams.Streams_Append_FullMethodName {
			drain(stream)
		}
		return err
	}
	switch info.FullMethod {
	case streams.Streams_Append_FullMethodName:
		call := &appendCall{ServerStream: stream, faults: f}
		call.failure, call.fails = f.nextFailure()
		return call.run(srv, handler)
	case streams.Streams_Read_FullMethodName, persistent.PersistentSubscriptions_Read_FullMethodName:
		call := &subscription{ServerStream: stream, faults: f}
		return call.run(srv, handler)
	}
	return handler(srv, stream)
}

// drain reads an append to its end: the Go client that is refused while it still sends sees a broken stream instead of the
// reason.
func drain(stream grpc.ServerStream) {
	for {
		if err := stream.RecvMsg(&streams.AppendReq{}); err != nil {
			return
		}
	}
}

// appendCall is an append that may be held or fail.
type appendCall struct {
	grpc.ServerStream
	faults   *faults
	failure  Failure
	fails    bool
	expected *streams.AppendReq_Options // as the writer sent them, when they were replaced
}

func (c *appendCall) run(srv any, handler grpc.StreamHandler) error {
	err := handler(srv, c)
	if !c.fails || c.failure.kind == wrongVersion {
		return err
	}
	if c.failure.kind == answerLost {
		c.faults.connections.cutCaller(c.Context())
	}
	return c.failure.err
}

// RecvMsg holds the append back when all of it has arrived, and ends it there when it is to be refused.
func (c *appendCall) RecvMsg(message any) error {
	err := c.ServerStream.RecvMsg(message)
	if errors.Is(err, io.EOF) {
		if err := c.faults.appends.pass(c.Context()); err != nil {
			return err
		}
		if c.fails && c.failure.kind == refused {
			return c.failure.err
		}
	}
	if options := optionsOf(message); err == nil && options != nil && c.fails && c.failure.kind == wrongVersion {
		// The store itself shall say where the stream is: the writer is made to expect what no stream ever reaches.
		c.expected = &streams.AppendReq_Options{ExpectedStreamRevision: options.GetExpectedStreamRevision()}
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: math.MaxInt64 - 1}
	}
	return err
}

func optionsOf(message any) *streams.AppendReq_Options {
	request, _ := message.(*streams.AppendReq)
	return request.GetOptions()
}

// SendMsg loses the answer of an append that is said to have failed.
func (c *appendCall) SendMsg(message any) error {
	if c.fails && c.failure.kind != wrongVersion {
		return nil
	}
	if answer, ok := message.(*streams.AppendResp); ok && c.expected != nil {
		restoreExpected(answer.GetWrongExpectedVersion(), c.expected)
	}
	return c.ServerStream.SendMsg(message)
}

// restoreExpected says in the answer what the writer did expect.
func restoreExpected(answer *streams.AppendResp_WrongExpectedVersion, options *streams.AppendReq_Options) {
	if answer == nil {
		return
	}
	switch expected := options.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Any:
		answer.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: expected.Any}
	case *streams.AppendReq_Options_NoStream:
		answer.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: expected.NoStream}
	case *streams.AppendReq_Options_StreamExists:
		answer.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: expected.StreamExists}
	case *streams.AppendReq_Options_Revision:
		answer.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: expected.Revision}
	}
}

// subscription is a reading call, which may be a subscription and then can be dropped and slowed down.
type subscription struct {
	grpc.ServerStream
	faults     *faults
	ctx        context.Context // of the call that this is
	drop       context.CancelCauseFunc
	subscribes atomic.Bool
}

func (c *subscription) run(srv any, handler grpc.StreamHandler) error {
	c.ctx, c.drop = context.WithCancelCause(c.ServerStream.Context())
	defer c.drop(nil)
	defer func() {
		c.faults.mu.Lock()
		defer c.faults.mu.Unlock()
		delete(c.faults.subscriptions, c)
	}()
	err := handler(srv, c)
	if errors.Is(context.Cause(c.ctx), errDropped) {
		return errDropped
	}
	return err
}

// Context ends when the subscription is dropped.
func (c *subscription) Context() context.Context { return c.ctx }

// RecvMsg learns from the request what kind of call it is.
func (c *subscription) RecvMsg(message any) error {
	err := c.ServerStream.RecvMsg(message)
	if err != nil || c.subscribes.Load() {
		return err
	}
	switch request := message.(type) {
	case *streams.ReadReq:
		c.subscribes.Store(request.GetOptions().GetSubscription() != nil)
	case *persistent.ReadReq:
		c.subscribes.Store(true)
	}
	if c.subscribes.Load() {
		c.faults.mu.Lock()
		defer c.faults.mu.Unlock()
		if c.faults.subscriptions == nil {
			c.faults.subscriptions = map[*subscription]struct{}{}
		}
		c.faults.subscriptions[c] = struct{}{}
		if c.faults.unavailable > 0 { // it slipped in
			c.drop(errDropped)
		}
	}
	return nil
}

// SendMsg keeps events back.
func (c *subscription) SendMsg(message any) error {
	if c.subscribes.Load() && carriesEvent(message) {
		if err := c.faults.events.pass(c.ctx); err != nil {
			return err
		}
	}
	return c.ServerStream.SendMsg(message)
}

// carriesEvent knows confirmations, checkpoints and the like by their generated messages. The server need not use these
// for events, which it may have in their wire form already.
func carriesEvent(message any) bool {
	switch answer := message.(type) {
	case *streams.ReadResp:
		return answer.GetEvent() != nil
	case *persistent.ReadResp:
		return answer.GetEvent() != nil
	}
	return true
}
