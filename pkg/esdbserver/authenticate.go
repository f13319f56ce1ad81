package esdbserver

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/internal/acl"
	"orderflow/pkg/esdbserver/internal/users"
)

// errUnauthenticated is the answer to credentials that are wrong, or that cannot be understood.
var errUnauthenticated = status.Error(codes.Unauthenticated, "Unauthenticated")

// callerKey is the key of the user in the context of a call.
type callerKey struct{}

// caller is who makes a call. Without credentials it is nobody, who may still ask for what is no secret.
func caller(ctx context.Context) acl.User {
	user, _ := ctx.Value(callerKey{}).(acl.User)
	return user
}

// authenticate finds out who calls, from the authorization header in it. Wrong credentials are refused also where none
// would be needed, as in the original server.
func (s *security) authenticate(ctx context.Context, headers []string) (context.Context, error) {
	if len(headers) == 0 {
		return ctx, nil
	}
	name, password, ok := basic(headers)
	if !ok {
		return nil, errUnauthenticated
	}
	user, err := s.users.Authenticate(ctx, name, password)
	if errors.Is(err, users.ErrRefused) {
		s.logger.Info("a login was refused", "user", name)
		return nil, errUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, callerKey{}, user), nil
}

// basic reads the credentials of the Basic scheme (RFC 7617).
func basic(headers []string) (name, password string, ok bool) {
	if len(headers) != 1 {
		return "", "", false
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}

// authenticateUnary and authenticateStream stand before every gRPC method of a secure server.

func (s *Server) authenticateUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := s.security.authenticate(ctx, metadata.ValueFromIncomingContext(ctx, "authorization"))
	if err != nil {
		return nil, s.statusOf(err)
	}
	return handler(ctx, req)
}

func (s *Server) authenticateStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := s.security.authenticate(stream.Context(), metadata.ValueFromIncomingContext(stream.Context(), "authorization"))
	if err != nil {
		hearOut(stream, info)
		return s.statusOf(err)
	}
	return handler(srv, &authenticated{ServerStream: stream, ctx: ctx})
}

// hearOut receives what a client sends before it listens to an answer: its whole request, or the first message of a
// conversation. Told earlier, the Go client would see its stream break and not the reason.
func hearOut(stream grpc.ServerStream, info *grpc.StreamServerInfo) {
	more := info.IsClientStream
	for more {
		err := stream.RecvMsg(&shared.Empty{})
		more = err == nil && !info.IsServerStream
	}
}

// authenticated is a stream whose context knows the caller.
type authenticated struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // it is the way a stream hands out its context
}

func (a *authenticated) Context() context.Context { return a.ctx }

// authenticateHTTP stands before the HTTP surface of a secure server.
func (s *Server) authenticateHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := s.security.authenticate(r.Context(), r.Header.Values("Authorization"))
		switch {
		case errors.Is(err, errUnauthenticated):
			askForCredentials(w)
		case err != nil:
			s.config.Logger.Error("the credentials of a request could not be checked", "error", err)
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// askForCredentials answers an HTTP request that has none, or wrong ones (RFC 7617).
func askForCredentials(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="event store", charset="UTF-8"`)
	http.Error(w, "Unauthenticated", http.StatusUnauthorized)
}
