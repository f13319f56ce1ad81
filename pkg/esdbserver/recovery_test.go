package esdbserver

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestPanicInAHandlerEndsOnlyItsCall(t *testing.T) {
	var log strings.Builder
	server, err := Open(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	_, unary := server.recoverUnary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/Unary"},
		func(context.Context, any) (any, error) { panic("first") })
	stream := server.recoverStream(nil, nil, &grpc.StreamServerInfo{FullMethod: "/a/Stream"},
		func(any, grpc.ServerStream) error { panic("second") })
	for _, err := range []error{unary, stream} {
		if status.Code(err) != codes.Unknown || strings.Contains(err.Error(), "first") || strings.Contains(err.Error(), "second") {
			t.Errorf("the caller is told %v", err)
		}
	}
	for _, want := range []string{"first", "second", "/a/Unary", "/a/Stream"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	wanted := errors.New("passes")
	if err := server.recoverStream(nil, nil, &grpc.StreamServerInfo{}, func(any, grpc.ServerStream) error { return wanted }); !errors.Is(err, wanted) {
		t.Errorf("an error became %v", err)
	}
}
