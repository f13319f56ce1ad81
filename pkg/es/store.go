package es

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors of a [Store]. They are matched with errors.Is.
var (
	// ErrNotFound: the stream has no events, or was deleted.
	ErrNotFound = errors.New("no such stream")
	// ErrWrongRevision: the stream is not at the expected revision.
	ErrWrongRevision = errors.New("wrong expected revision")
	// ErrUnavailable: the event store does not answer. What became of an append
	// is unknown; repeat it with the same event ids.
	ErrUnavailable = errors.New("event store unavailable")
)

// errClosed is what calls on a closed store get.
var errClosed = fmt.Errorf("%w: closed", ErrUnavailable)

// errLost is what calls get whose connection breaks under them.
var errLost = fmt.Errorf("%w: connection lost", ErrUnavailable)

// Store is a connection to an event store. Safe for concurrent use.
//
// It outlives any outage of the server: calls made during one wait, without
// more than their own goroutine, until the server is back or their context
// ends. Reads are repeated when the connection breaks under them.
type Store struct {
	config esdb.Configuration

	mu      sync.Mutex
	current *session // what calls use; nil before the first and after a break
	problem error    // why the last attempt to connect failed, nil when it worked

	closing sync.Once
	closed  chan struct{}
}

// Open prepares a connection to an EventStoreDB connection string:
// esdb://host:2113?tls=false, or esdb://user:password@host:2113?tls=true for a
// secure server, with &tlsCAFile=FILE when no well-known authority has signed
// its certificate. [Store.Follow] needs a user who may read $all. It fails on a string that cannot be understood,
// with one line that does not repeat a password; the server need not be there
// yet. What the client under it has to say goes to log at debug level, or
// nowhere when log is nil.
func Open(connectionString string, log *slog.Logger) (*Store, error) {
	config, err := parseConnectionString(connectionString)
	if err != nil {
		return nil, fmt.Errorf("connection string of the event store: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	config.Logger = clientLog(log)
	return &Store{config: *config, closed: make(chan struct{})}, nil
}

// clientLog sends what the client has to say to log. Its errors are about
// single calls, which report them to their callers, so here all is detail.
func clientLog(log *slog.Logger) esdb.LoggingFunc {
	return func(_ esdb.LogLevel, format string, args ...any) {
		if ctx := context.Background(); log.Enabled(ctx, slog.LevelDebug) {
			log.DebugContext(ctx, "event store client: "+fmt.Sprintf(format, args...))
		}
	}
}

// Close releases the connection. Calls under way fail with [ErrUnavailable].
func (s *Store) Close() {
	s.closing.Do(func() {
		close(s.closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.current != nil {
			s.current.retire()
		}
	})
}

// Ready returns nil when the event store answers within ctx. While there is no
// connection it says at once why the last attempt to make one failed.
func (s *Store) Ready(ctx context.Context) error {
	session, err := s.session()
	if err != nil {
		return err
	}
	if err := session.firstAttempt(ctx); err != nil {
		return err
	}
	if problem := s.lastProblem(); problem != nil {
		return problem
	}
	// Without a problem the session is open, or just about to be.
	select {
	case <-session.ready:
	case <-session.gone:
	}
	if !session.enter() {
		return errLost
	}
	defer session.leave()
	_, err = callOn(ctx, s, session, readingStream("orderflow-ready", 0, 1))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// wait pauses before something is tried again, and reports why it should not be.
func (s *Store) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	case <-s.closed:
		return errClosed
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// classify turns the client's errors into this package's. broken says that the
// connection is of no more use.
func classify(err error) (broken bool, classified error) {
	var coded *esdb.Error
	if err == nil {
		return false, nil
	}
	if errors.As(err, &coded) {
		switch coded.Code() {
		case esdb.ErrorCodeResourceNotFound, esdb.ErrorCodeStreamDeleted:
			return false, fmt.Errorf("%w: %w", ErrNotFound, err)
		case esdb.ErrorCodeWrongExpectedVersion:
			return false, fmt.Errorf("%w: %w", ErrWrongRevision, err)
		case esdb.ErrorUnavailable, esdb.ErrorCodeConnectionClosed:
			return true, unavailable(err)
		case esdb.ErrorAborted, esdb.ErrorCodeDeadlineExceeded, esdb.ErrorCodeNotLeader:
			return false, unavailable(err)
		}
	}
	switch grpcCode(err) {
	case codes.Unavailable:
		return true, unavailable(err)
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted:
		return false, unavailable(err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, errClient) {
		// The answer broke off, or the client did.
		return false, unavailable(err)
	}
	return false, err
}

// grpcCode looks for a status below the client's wrappers.
func grpcCode(err error) codes.Code {
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carrier) {
		return carrier.GRPCStatus().Code()
	}
	return codes.Unknown
}
