package esdbserver

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// maxMessageSize is the largest message the server takes, and with it the largest record, in bytes.
const maxMessageSize = 16 << 20

func (s *Server) newGRPC() *grpc.Server {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessageSize),
		// The official clients ping every 10 s, also while nothing is going on. By default the server would answer that
		// with GOAWAY and end idle subscriptions.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}),
		grpc.WaitForHandlers(true), // so that nothing uses the log any more when it is closed
		grpc.UnaryInterceptor(s.recoverUnary),
		grpc.StreamInterceptor(s.recoverStream),
		grpc.UnknownServiceHandler(notServed),
	)
	streams.RegisterStreamsServer(server, &streamsService{server: s, log: s.log})
	serverfeatures.RegisterServerFeaturesServer(server, featuresService{})
	gossip.RegisterGossipServer(server, gossipService{server: s})
	return server
}

// notServed answers the calls to all services that are not registered.
func notServed(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "%s is not served: this server speaks Streams, ServerFeatures and Gossip", method)
}

// A bug that shows as a panic ends the call it happens in, and only that.

func (s *Server) recoverUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer s.recovered(info.FullMethod, &err)
	return handler(ctx, req)
}

func (s *Server) recoverStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer s.recovered(info.FullMethod, &err)
	return handler(srv, stream)
}

func (s *Server) recovered(method string, err *error) {
	if p := recover(); p != nil {
		s.config.Logger.Error("panic in a handler", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = unknown("internal error")
	}
}
