package users

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"

	"orderflow/pkg/esdbserver/internal/acl"
	"orderflow/pkg/esdbserver/internal/eventlog"
)

// ErrRefused is the answer to every login that fails, whatever the reason: that a user exists is nobody's business.
var ErrRefused = errors.New("no such user, or not that password")

// Directory are the users in a log. It is safe for concurrent use.
type Directory struct {
	log        *eventlog.Log
	logger     *slog.Logger
	iterations int

	known *known
	// changes counts the changes of users, so that nothing is remembered of a user who has changed meanwhile.
	changes atomic.Uint64
	// deriving has room for as many as may derive a hash at the same time: half the processors, so that a flood of wrong
	// passwords leaves the others to those who are logged in.
	deriving chan struct{}
}

// New makes the directory of the users in log. Passwords that it stores cost so many iterations, 0 being
// DefaultIterations; what a stored one costs is stored with it.
func New(log *eventlog.Log, logger *slog.Logger, iterations int) *Directory {
	return &Directory{
		log: log, logger: logger, iterations: cmp.Or(iterations, DefaultIterations), known: newKnown(),
		deriving: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
	}
}

// Committed must be told of every event that the log has committed, before its writer is answered.
func (d *Directory) Committed(e *eventlog.Event) {
	stream := e.Stream
	if eventlog.IsMetastream(stream) { // a user can be deleted, which is written there
		stream = acl.Owner(stream)
	}
	if strings.HasPrefix(stream, streamPrefix) {
		d.changes.Add(1)
	}
}

// Authenticate returns the user with that name and password. It fails with ErrRefused when there is none, or when the user
// is disabled or deleted.
func (d *Directory) Authenticate(ctx context.Context, name, password string) (acl.User, error) {
	if name == "" {
		return acl.User{}, ErrRefused
	}
	changes := d.changes.Load() // before the user is read: what changes later makes the answer old
	if user, ok := d.known.find(name, password, changes); ok {
		return user, nil
	}
	select {
	case d.deriving <- struct{}{}:
		defer func() { <-d.deriving }()
	case <-ctx.Done():
		return acl.User{}, ctx.Err()
	}
	// Somebody else may have come with the same password meanwhile: clients like to begin many calls at once.
	changes = d.changes.Load()
	if user, ok := d.known.find(name, password, changes); ok {
		return user, nil
	}
	user, err := d.verify(ctx, name, password)
	if err != nil {
		return acl.User{}, err
	}
	d.known.add(name, password, changes, user)
	return user, nil
}

// verify does the slow comparison. For a user who does not exist or must not come in it takes as long, so that the time
// does not tell.
func (d *Directory) verify(ctx context.Context, name, password string) (acl.User, error) {
	r, err := d.load(ctx, name)
	switch {
	case err != nil && ctx.Err() != nil:
		return acl.User{}, ctx.Err()
	case errors.Is(err, eventlog.ErrClosed):
		return acl.User{}, err
	case err != nil:
		d.logger.Error("a user cannot be read", "user", name, "error", err)
		return acl.User{}, ErrRefused
	case r == nil || r.Disabled:
		_, _ = secret{Iterations: d.iterations, Salt: make([]byte, saltSize)}.derive(password) // for the time it takes
		return acl.User{}, ErrRefused
	}
	ok, err := r.matches(password)
	if err != nil {
		d.logger.Error("a user cannot log in", "user", name, "error", err)
	}
	if !ok {
		return acl.User{}, ErrRefused
	}
	return acl.User{Name: name, Groups: r.Groups}, nil
}
