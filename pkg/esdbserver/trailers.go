package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// The names of errors, in the trailer "exception". Clients go by them rather than by the code.
const (
	exceptionAccessDenied         = "access-denied"
	exceptionStreamDeleted        = "stream-deleted"
	exceptionWrongExpectedVersion = "wrong-expected-version"
	exceptionAppendSize           = "maximum-append-size-exceeded"
	exceptionAppendEventSize      = "maximum-append-event-size-exceeded"
	exceptionMissingMetadata      = "missing-required-metadata-property"
)

// refusal is an error that the protocol has a name for.
type refusal struct {
	code    codes.Code
	text    string
	trailer metadata.MD
}

func (r *refusal) Error() string              { return r.text }
func (r *refusal) GRPCStatus() *status.Status { return status.New(r.code, r.text) }

// exception is the name that the protocol has for the refusal.
func (r *refusal) exception() string { return r.told("exception") }

// told is what the trailer says under a key.
func (r *refusal) told(key string) string {
	if values := r.trailer.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// refuse makes a refusal; pairs are the keys and values that the protocol wants beside its name.
func refuse(code codes.Code, exception, text string, pairs ...string) *refusal {
	return &refusal{code: code, text: text, trailer: metadata.Pairs(append([]string{"exception", exception}, pairs...)...)}
}

func streamDeleted(stream string) *refusal {
	return refuse(codes.FailedPrecondition, exceptionStreamDeleted,
		fmt.Sprintf("Event stream '%s' is deleted.", stream), "stream-name", headerText(stream))
}

func wrongExpectedVersion(e *eventlog.WrongExpectedVersionError) *refusal {
	return refuse(codes.FailedPrecondition, exceptionWrongExpectedVersion,
		fmt.Sprintf("Append failed due to WrongExpectedVersion. Stream: %s, Expected version: %d, Actual version: %d", e.Stream, e.Expected, e.Current),
		"stream-name", headerText(e.Stream),
		"expected-version", strconv.FormatInt(int64(e.Expected), 10),
		"actual-version", strconv.FormatInt(e.Current, 10))
}

// headerText makes a stream name fit for a trailer, which can carry printable ASCII only.
func headerText(stream string) string {
	for _, c := range []byte(stream) {
		if c < ' ' || c > '~' {
			return url.PathEscape(stream)
		}
	}
	return stream
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// unknown is how the original server answers what it did not foresee.
func unknown(detail string) error {
	return status.Error(codes.Unknown, "Exception was thrown by handler. "+detail)
}

// statusOf turns an error of the event log into the protocol's. Errors that have a status already pass.
func (s *Server) statusOf(err error) error {
	var (
		deleted *eventlog.StreamDeletedError
		wrong   *eventlog.WrongExpectedVersionError
		named   *refusal
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &named):
		return named
	case errors.As(err, &deleted):
		return streamDeleted(deleted.Stream)
	case errors.As(err, &wrong):
		return wrongExpectedVersion(wrong)
	case errors.Is(err, eventlog.ErrTimeout):
		return status.Error(codes.Aborted, "Operation timed out: "+err.Error())
	case errors.Is(err, eventlog.ErrMetastream):
		return invalid("%v", err)
	case errors.Is(err, eventlog.ErrClosed), s.stopping.Err() != nil && errors.Is(err, context.Canceled):
		return errShuttingDown
	case errors.Is(err, eventlog.ErrDamaged):
		return unknown(err.Error()) // the log has told the operator; the original server too fails the read with UNKNOWN
	case errors.Is(err, eventlog.ErrDiskFailed):
		return unknown(eventlog.ErrDiskFailed.Error()) // logged with the transaction
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	s.config.Logger.Error("a call failed", "error", err)
	return unknown("internal error")
}

// errShuttingDown sends clients looking for a server, which is what they should do.
var errShuttingDown = status.Error(codes.Unavailable, "Server is shutting down")

// trailerOf is what to send beside an error.
func trailerOf(err error) metadata.MD {
	var named *refusal
	if errors.As(err, &named) {
		return named.trailer
	}
	return nil
}
