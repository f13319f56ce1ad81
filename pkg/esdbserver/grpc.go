package esdbserver

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	persistentpb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// maxMessageSize is the largest message the server takes, and with it the largest record, in bytes.
const maxMessageSize = 16 << 20

// maxHeaderSize is how much all the headers of a call may be, in bytes. Nobody has said yet who calls when they come in.
const maxHeaderSize = 64 << 10

// maxCalls is how many calls one connection may have at a time, subscriptions included.
const maxCalls = 10_000

// callWorkers is how many goroutines wait for calls.
const callWorkers = 64

func (s *Server) newGRPC() *grpc.Server {
	unary := []grpc.UnaryServerInterceptor{s.recoverUnary, s.logUnary}
	stream := []grpc.StreamServerInterceptor{s.recoverStream, s.logStream}
	if s.security != nil {
		unary, stream = append(unary, s.authenticateUnary), append(stream, s.authenticateStream)
	}
	server := grpc.NewServer(append([]grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessageSize),
		grpc.MaxHeaderListSize(maxHeaderSize),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.ForceServerCodecV2(newCodec()),
		// Calls run on goroutines that are there already, with stacks that have grown to what calls need. More calls than
		// these, and subscriptions, get goroutines of their own.
		grpc.NumStreamWorkers(callWorkers),
		// The official clients ping every 10 s, also while nothing is going on. By default the server would answer that
		// with GOAWAY and end idle subscriptions.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.WaitForHandlers(true), // so that nothing uses the log any more when it is closed
		grpc.ChainUnaryInterceptor(unary...),
		grpc.ChainStreamInterceptor(stream...),
		grpc.UnknownServiceHandler(s.notServed),
	}, s.config.GRPC...)...)
	streams.RegisterStreamsServer(server, &streamsService{server: s, log: s.log})
	persistentpb.RegisterPersistentSubscriptionsServer(server, &persistentService{server: s})
	serverfeatures.RegisterServerFeaturesServer(server, featuresService{})
	gossip.RegisterGossipServer(server, gossipService{server: s})
	return server
}

// A bug that shows as a panic ends the call it happens in, and only that.

func (s *Server) recoverUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer s.recovered(info.FullMethod, &err)
	s.answering.Add(1)
	defer s.answering.Add(-1)
	return handler(ctx, req)
}

func (s *Server) recoverStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer s.recovered(info.FullMethod, &err)
	if !info.IsServerStream {
		s.answering.Add(1)
		defer s.answering.Add(-1)
	}
	return handler(srv, stream)
}

func (s *Server) recovered(method string, err *error) {
	if p := recover(); p != nil {
		s.config.Logger.Error("panic in a handler", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = unknown("internal error")
	}
}
