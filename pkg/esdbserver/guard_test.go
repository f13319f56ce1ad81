package esdbserver

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/internal/acl"
	"orderflow/pkg/esdbserver/internal/eventlog"
)

func TestRightIsLostAsSoonAsItsListIsAcknowledged(t *testing.T) {
	server := &Server{security: &security{}}
	log, err := eventlog.Open(eventlog.Options{Committed: server.security.committed})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := server.security.begin(log, Config{PasswordIterations: 100, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		stream, data string
		lost         bool
	}{
		{"$$t", `{"$acl":{"$r":[]}}`, false},
		{"$$s", `{"$acl":{"$r":"alice"}}`, false},
		{"$settings", `{"$userStreamAcl":{"$r":[]}}`, false},
		{"$$s", `{"$acl":{}}`, true},
		{"$$s", `{"$acl":{"$r":"alice"}}`, false},
		{"$$s", `{"$acl":{"$r":"bob"}}`, true},
		{"$settings", `{}`, true},
		{"$$s", `{}`, false},
		{"$settings", `{"$userStreamAcl":{"$r":[]}}`, true},
	} {
		ctx := context.WithValue(t.Context(), callerKey{}, acl.User{Name: "alice"})
		g := &guard{owner: "s", alarmed: make(chan struct{}, 1), authorize: func() error { return server.authorize(ctx, toRead, "s") }}
		server.security.guards.post(g)
		event := eventlog.Proposed{ID: uuid.New(), Type: "x", JSON: true, Data: []byte(test.data)}
		if _, err := log.Append(t.Context(), test.stream, eventlog.Any, []eventlog.Proposed{event}); err != nil {
			t.Fatal(err)
		}
		if err := g.check(); (status.Code(err) == codes.PermissionDenied) != test.lost {
			t.Errorf("after %s in %s: %v, lost should be %t", test.data, test.stream, err, test.lost)
		}
		if err := g.check(); err != nil {
			t.Errorf("asked again without a change: %v", err)
		}
		server.security.guards.relieve(g)
	}
}

func TestGuardedCallThatFailsByItselfFailsWithItsOwnError(t *testing.T) {
	log, err := eventlog.Open(eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	server := &Server{security: &security{log: log}}
	ctx := context.WithValue(t.Context(), callerKey{}, acl.User{Name: "alice"})
	errOwn := errors.New("its own")
	if err := server.guarded(ctx, toRead, "s", func(context.Context, *guard) error { return errOwn }); !errors.Is(err, errOwn) {
		t.Error(err)
	}
	if n := len(server.security.guards.duty); n > 0 {
		t.Errorf("%d guards are still on duty", n)
	}
	called := false
	err = server.guarded(ctx, toRead, "$all", func(context.Context, *guard) error { called = true; return nil })
	if status.Code(err) != codes.PermissionDenied || called {
		t.Errorf("%v, called %t", err, called)
	}
}

// That the rights cannot be looked up ends a call as well, and is not told as if the client had left.
func TestGuardedCallWhoseRightsCannotBeReadIsToldSo(t *testing.T) {
	log, err := eventlog.Open(eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{security: &security{log: log}}
	ctx := context.WithValue(t.Context(), callerKey{}, acl.User{Name: "alice"})
	err = server.guarded(ctx, toRead, "s", func(ctx context.Context, _ *guard) error {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		server.security.guards.alarmAll()
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, eventlog.ErrClosed) {
		t.Error(err)
	}
}
