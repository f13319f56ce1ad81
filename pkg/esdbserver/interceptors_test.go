package esdbserver_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestInterceptorsOfTheOwnerSeeCallsAndMayPanic(t *testing.T) {
	var seen atomic.Int32
	store := esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) {
		c.GRPC = []grpc.ServerOption{
			grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				if strings.HasSuffix(info.FullMethod, "/Delete") {
					panic("the owner's mistake")
				}
				return handler(ctx, req)
			}),
			grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				seen.Add(1)
				return handler(srv, stream)
			}),
		}
	}))
	s := &script{t: t, store: store, client: store.Client(t)}
	s.do("append any: a")
	if got := s.do("delete any"); !strings.Contains(got, "internal error") || strings.Contains(got, "mistake") {
		t.Errorf("the caller is told %q", got)
	}
	if got := s.content("s"); got != "0:a" {
		t.Errorf("afterwards the stream is %q", got)
	}
	if got := seen.Load(); got != 2 {
		t.Errorf("saw %d calls, want an append and a read", got)
	}
}
