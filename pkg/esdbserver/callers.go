package esdbserver

import (
	"context"
	"log/slog"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// logCall tells who calls what, for an operator who looks for a client. A client may name its connection in a header.
// Another header, requires-leader, asks for the node that leads, which this one always does.
func (s *Server) logCall(ctx context.Context, method string) {
	if !s.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	headers, _ := metadata.FromIncomingContext(ctx)
	from := ""
	if caller, ok := peer.FromContext(ctx); ok {
		from = caller.Addr.String()
	}
	s.config.Logger.DebugContext(ctx, "call", "method", method, "connection", strings.Join(headers.Get("connection-name"), ","), "from", from)
}

func (s *Server) logUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	s.logCall(ctx, info.FullMethod)
	return handler(ctx, req)
}

func (s *Server) logStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	s.logCall(stream.Context(), info.FullMethod)
	return handler(srv, stream)
}
