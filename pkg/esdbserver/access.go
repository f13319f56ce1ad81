package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"

	"google.golang.org/grpc/codes"

	"orderflow/pkg/esdbserver/internal/acl"
	"orderflow/pkg/esdbserver/internal/eventlog"
	"orderflow/pkg/esdbserver/internal/users"
)

// access is what a caller asks to do.
type access int

const (
	toRead   access = iota // read a stream or $all, or subscribe to it
	toWrite                // append to a stream
	toDelete               // delete or tombstone a stream
	// toConsume is to receive the events of a persistent subscription to a stream, or $all.
	toConsume
	// toManageGroups is to create, update, delete, replay or restart persistent subscriptions, to whatever stream.
	toManageGroups
	// toInspectGroups is to list persistent subscriptions and see how they do.
	toInspectGroups
)

// settingsStream holds the default access control lists.
const settingsStream = "$settings"

// security is what a secure server has and an insecure one lacks.
type security struct {
	users          *users.Directory
	log            *eventlog.Log
	logger         *slog.Logger
	allowAnonymous bool

	guards guards

	// changes counts the changes of lists, also of those of single streams.
	changes atomic.Uint64
	// settled counts how often the default lists were settled anew, so that nobody goes by older ones.
	settled  atomic.Uint64
	defaults atomic.Pointer[defaults]
}

// defaults are the default access control lists as they were when they had been settled so many times.
type defaults struct {
	acl.Defaults
	settled uint64
}

// committed is told of every transaction before its writers are answered: whoever has been told that a list is in force
// can rely on it.
func (s *security) committed(events []*eventlog.Event) {
	if s.log == nil {
		return // nobody has been let in yet
	}
	for _, e := range events {
		s.users.Committed(e)
		switch owner := acl.Owner(e.Stream); {
		case owner == settingsStream: // or its metadata, which can delete it
			s.settled.Add(1)
			s.changes.Add(1)
			s.guards.alarmAll()
		case owner != e.Stream:
			s.changes.Add(1)
			s.guards.alarm(owner)
		}
	}
}

// authorize returns nil when the caller may do something with a stream, and otherwise the refusal to answer with
// (PERMISSION_DENIED, access-denied). In an insecure server everybody may do everything. stream counts for the rights to
// streams and for toConsume, where it is the one that the subscription is to; it may be $all. Every handler asks here
// before it does anything.
func (s *Server) authorize(ctx context.Context, do access, stream string) error {
	if s.security == nil {
		return nil
	}
	return s.security.authorize(ctx, caller(ctx), do, stream)
}

// listChanges is how often lists have changed, to be noted before authorize is asked.
func (s *Server) listChanges() uint64 {
	if s.security == nil {
		return 0
	}
	return s.security.changes.Load()
}

// authorizeAgain is authorize for a caller who was let in when so many changes of lists had been seen, and who does only
// now what it asked for: an append may take its time. It costs nothing as long as no list has changed.
func (s *Server) authorizeAgain(ctx context.Context, do access, stream string, seen uint64) error {
	if s.listChanges() == seen {
		return nil
	}
	return s.authorize(ctx, do, stream)
}

func (s *security) authorize(ctx context.Context, user acl.User, do access, stream string) error {
	var may bool
	var err error
	switch do {
	case toRead:
		may, err = s.mayAccess(ctx, user, acl.Read, stream)
	case toWrite:
		may, err = s.mayAccess(ctx, user, acl.Write, stream)
	case toDelete:
		may, err = s.mayAccess(ctx, user, acl.Delete, stream)
	case toConsume:
		if !user.Anonymous() { // also where anonymous callers may read
			may, err = s.mayAccess(ctx, user, acl.Read, stream)
		}
	case toManageGroups:
		may = user.In(acl.Admins) || user.In(acl.Operators)
	case toInspectGroups:
		may = !user.Anonymous()
	}
	if err != nil {
		return fmt.Errorf("rights to %s: %w", stream, err)
	}
	if !may {
		return accessDenied()
	}
	return nil
}

// mayAccess costs administrators nothing, and others one look at the metadata of the stream.
func (s *security) mayAccess(ctx context.Context, user acl.User, right acl.Right, stream string) (bool, error) {
	if user.Anonymous() && !s.allowAnonymous {
		return false, nil
	}
	if user.In(acl.Admins) {
		return true, nil
	}
	metadata, err := s.log.Metadata(ctx, acl.Owner(stream))
	if err != nil {
		return false, err
	}
	lists, err := s.defaultLists(ctx)
	return err == nil && lists.Allows(user, right, stream, acl.Parse(metadata)), err
}

// defaultLists reads the settings when they may have changed.
func (s *security) defaultLists(ctx context.Context) (acl.Defaults, error) {
	settled := s.settled.Load() // before the settings are read
	if known := s.defaults.Load(); known != nil && known.settled == settled {
		return known.Defaults, nil
	}
	page, err := s.log.ReadStream(ctx, settingsStream, math.MaxInt64, true, 1)
	if err != nil {
		return acl.Defaults{}, err
	}
	var lists acl.Defaults
	if len(page.Events) > 0 && !page.Stream.Tombstoned() {
		lists = acl.ParseDefaults(page.Events[0].Data)
	}
	s.defaults.Store(&defaults{Defaults: lists, settled: settled})
	return lists, nil
}

// readable returns the target of a link to somebody who may read it, and nil to others, as if it were gone: anybody can write
// a link to anything, so a link gives no rights.
func (s *Server) readable(ctx context.Context, target *eventlog.Event) (*eventlog.Event, error) {
	if target == nil {
		return nil, nil //nolint:nilnil // a link to nothing is no error
	}
	err := s.authorize(ctx, toRead, target.Stream)
	var denied *refusal
	if errors.As(err, &denied) {
		return nil, nil //nolint:nilnil // see above
	}
	return target, err
}

func accessDenied() *refusal {
	return refuse(codes.PermissionDenied, exceptionAccessDenied, "Access Denied")
}
