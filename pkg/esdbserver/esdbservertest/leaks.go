package esdbservertest

import "go.uber.org/goleak"

// ClientLeaks are the goroutines that the official client can leave behind, for
// goleak: when two calls find their connection broken at the same time it looks
// for the server twice, keeps the connection it made last, and never closes the
// one before. What is ignored belongs to a gRPC client connection and to nothing
// else; goroutines of the code under test are still found.
func ClientLeaks() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.(*http2Client).reader"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.(*http2Client).keepalive"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.(*loopyWriter).run"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc.(*addrConn).connect"), // while its server is not there
		goleak.IgnoreAnyFunction("github.com/EventStore/EventStore-Client-Go/v4/esdb.connectionStateMachine"),
		goleak.IgnoreAnyFunction("github.com/EventStore/EventStore-Client-Go/v4/esdb.(*grpcClient).getConnectionHandle"),
	}
}
