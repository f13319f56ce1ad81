package esdbserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"orderflow/pkg/esdbserver/internal/eventlog"
	"orderflow/pkg/esdbserver/internal/linker"
	"orderflow/pkg/esdbserver/internal/persistent"
)

// Version is the version of the original server whose behaviour this one follows; it is what clients are told.
const Version = "24.10.4"

// DefaultMaxAppendSize is the limit on the events of one append, in bytes, that the original server has in this version.
const DefaultMaxAppendSize = 1 << 20

// Config says where a server keeps its events and what it allows. The zero value is a server in memory with the limits of
// the original.
type Config struct {
	// Dir is the data directory, made when it is missing. Empty keeps everything in memory until the server is closed.
	Dir string
	// Now is the clock that stamps events and ages them out ($maxAge). nil is time.Now.
	Now func() time.Time
	// Wake has a signal when Now has jumped. Whatever waits for a time to come, such as the timeouts of persistent
	// subscriptions, looks at the clock once a second and then at once. It is for clocks that are set; nil is never.
	Wake <-chan struct{}
	// DiskFailed is called, once and in a goroutine of its own, when the disk has failed in a way that leaves it open what is
	// on it: from then on reads go on and every write is refused, until the directory is opened again. nil is nobody.
	DiskFailed func()
	// Logger receives what an operator should see. nil is silent.
	Logger *slog.Logger
	// GRPC is passed on to the gRPC server, for what its owner wants to see or to decide about calls: statistics, tracing,
	// limits. Interceptors are given with grpc.ChainUnaryInterceptor and grpc.ChainStreamInterceptor; they run inside the
	// server's own, so that a panic in them ends one call as well.
	GRPC []grpc.ServerOption
	// MaxAppendSize limits the sum of the sizes of the events of one append, in bytes. 0 is DefaultMaxAppendSize.
	MaxAppendSize int
	// MaxAppendEventSize limits the size of one event, in bytes. 0 is no limit beyond that of a message (16 MiB).
	MaxAppendEventSize int
	// SystemProjections files every event under its category, its type and more, as links in streams like $ce-order and
	// $et-OrderPlaced. The original server has them switched off too unless it is told otherwise.
	SystemProjections bool
	// WriteTimeout is how long a write may wait for its commit before it is answered with ABORTED. 0 is 2 s.
	WriteTimeout time.Duration

	// TLS makes the server secure: connections are encrypted with its certificate, and callers need a name, a password and
	// the right to what they do. nil is insecure: plain text, and everybody may do everything, as in the original server
	// when it is told to be insecure.
	TLS *tls.Config
	// AdminPassword and OpsPassword are those that the users admin (who may do everything) and ops (who manages
	// subscriptions) get when the data directory is new. Empty is DefaultPassword. A user who is there keeps the password
	// it has, and a warning says so if that is another.
	AdminPassword, OpsPassword string
	// ResetPasswords gives the passwords above also to users who are there. It brings back an admin who is disabled or
	// whose password is forgotten.
	ResetPasswords bool
	// PasswordIterations is the work (PBKDF2 with HMAC-SHA-512) that guessing a password costs, and that finding it right
	// costs once, for the passwords that this server stores. 0 is what is recommended, about an eighth of a second. Tests
	// do with less.
	PasswordIterations int
	// AllowAnonymousStreamAccess lets callers without credentials do with streams what $all is admitted to: by default
	// everything with streams whose name does not begin with $. Like in the original server of this version, it is off.
	AllowAnonymousStreamAccess bool
}

// Server is an EventStoreDB-protocol server. Open makes one, Serve answers on a listener.
type Server struct {
	config     Config
	log        *eventlog.Log
	security   *security // nil in an insecure server
	id         uuid.UUID // identifies this run in gossip
	persistent *persistent.Subsystem
	grpc       *grpc.Server
	http       *http.Server

	ready     atomic.Bool
	answering atomic.Int64       // calls that run and will be answered, subscriptions and reads aside
	ended     chan struct{}      // closed when Shutdown has done all it does
	stop      context.CancelFunc // ends the subscriptions
	stopping  context.Context
	serving   sync.WaitGroup
	mu        sync.Mutex
	splits    []*splitter
	closed    bool
}

// ErrServerClosed is returned by Serve after Shutdown or Close.
var ErrServerClosed = errors.New("event store: server closed")

// Open opens the data directory. It fails, with an error that names the directory, when another server uses it or when
// what lies there is damaged or not ours.
func Open(config Config) (*Server, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.MaxAppendSize == 0 {
		config.MaxAppendSize = DefaultMaxAppendSize
	}
	if config.WriteTimeout == 0 {
		config.WriteTimeout = eventlog.DefaultWriteTimeout
	}
	if err := config.checkSecurity(); err != nil {
		return nil, err
	}
	options := eventlog.Options{Dir: config.Dir, Now: config.Now, Logger: config.Logger, WriteTimeout: config.WriteTimeout, DiskFailed: config.DiskFailed}
	security := config.security()
	if security != nil {
		options.Committed = security.committed
	}
	log, err := eventlog.Open(options)
	if err != nil {
		return nil, err
	}
	if security != nil {
		if err := security.begin(log, config); err != nil {
			return nil, errors.Join(err, log.Close())
		}
	}
	subscriptions, err := persistent.Open(context.Background(), persistent.Options{
		Log: log, Now: config.Now, Wake: config.Wake, Logger: config.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	s := &Server{config: config, log: log, security: security, persistent: subscriptions, id: uuid.New()}
	s.ended = make(chan struct{})
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.grpc = s.newGRPC()
	s.http = s.newHTTP()
	if config.SystemProjections {
		s.serving.Go(func() { linker.Run(s.stopping, log, config.Logger) })
	}
	s.ready.Store(true)
	return s, nil
}

// Serve answers gRPC (HTTP/2) and HTTP/1.1 on one listener, over TLS if so configured, until Shutdown or Close; it then
// returns ErrServerClosed. It takes over the listener. It may be called for several listeners.
func (s *Server) Serve(listener net.Listener) error {
	split := newSplitter(listener, s.config.transport())
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(ErrServerClosed, listener.Close())
	}
	s.splits = append(s.splits, split)
	s.serving.Add(3)
	s.mu.Unlock()

	go func() {
		defer s.serving.Done()
		if err := s.grpc.Serve(split.http2); err != nil && s.stopping.Err() == nil {
			s.config.Logger.Error("gRPC server ended", "error", err)
		}
	}()
	go func() {
		defer s.serving.Done()
		if err := s.http.Serve(split.http1); err != nil && s.stopping.Err() == nil {
			s.config.Logger.Error("HTTP server ended", "error", err)
		}
	}()
	go func() {
		defer s.serving.Done()
		s.warnOfDefaultPasswords(listener.Addr())
	}()
	err := split.run()
	if s.stopping.Err() != nil {
		return ErrServerClosed
	}
	return fmt.Errorf("accept on %s: %w", listener.Addr(), err)
}

// Shutdown ends the subscriptions and reads, lets the other calls finish until ctx ends, and closes the data directory.
// Everything acknowledged before is kept. Clients see their subscriptions end with UNAVAILABLE. Shutting down again waits
// for the same end.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	splits := s.splits
	s.mu.Unlock()
	if already {
		select {
		case <-s.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(s.ended)

	s.ready.Store(false)
	s.stop()
	for _, split := range splits {
		split.close()
	}
	s.drain(ctx)
	if err := s.http.Shutdown(ctx); err != nil {
		s.config.Logger.Warn("HTTP requests were cut off", "error", errors.Join(err, s.http.Close()))
	}
	s.serving.Wait()
	s.persistent.Close()
	if err := s.log.Close(); err != nil {
		return fmt.Errorf("close event store: %w", err)
	}
	return nil
}

// linger is how long clients have to learn that their subscriptions have ended, when nobody else keeps the server. One
// that does not read what it was sent would never learn of it.
const linger = 500 * time.Millisecond

// drain lets calls finish until ctx ends, and then cuts off what is left.
func (s *Server) drain(ctx context.Context) {
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	look := time.NewTicker(linger / 50)
	defer look.Stop()
	for busy := time.Now(); time.Since(busy) < linger; {
		select {
		case <-graceful:
			return
		case <-look.C:
			if s.answering.Load() > 0 {
				busy = time.Now()
			}
			continue
		case <-ctx.Done():
		}
		break
	}
	s.grpc.Stop()
	<-graceful
}

// Close is Shutdown without patience: calls that are running are cut off.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return s.Shutdown(ctx)
}

// ConnectionString is what a client is given to reach a server that listens on addr. The credentials for a secure server
// are not in it. Neither is how the client comes to trust the certificate: it must be valid for the host in the string,
// and unless a well-known authority has signed it the client needs tlsCAFile=..., or tlsVerifyCert=false, which trusts
// everybody.
func (s *Server) ConnectionString(addr net.Addr) string {
	return fmt.Sprintf("esdb://%s?tls=%t", advertised(addr), s.security != nil)
}
