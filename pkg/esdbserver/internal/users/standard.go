package users

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"orderflow/pkg/esdbserver/internal/acl"
	"orderflow/pkg/esdbserver/internal/eventlog"
)

// DefaultPassword is the password of the standard users when nobody has chosen another, as in the original server.
const DefaultPassword = "changeit"

// Passwords are those that the standard users are to have. An empty one was not chosen.
type Passwords struct{ Admin, Ops string }

// standard is a user that every server has.
type standard struct {
	name, fullName, group, chosen string
}

func (s standard) password() string { return cmp.Or(s.chosen, DefaultPassword) }

func (p Passwords) users() []standard {
	return []standard{
		{name: "admin", fullName: "Event Store Administrator", group: acl.Admins, chosen: p.Admin},
		{name: "ops", fullName: "Event Store Operations", group: acl.Operators, chosen: p.Ops},
	}
}

// Ensure makes the standard users in a log that does not have them. Users who are there, or were and have been deleted,
// stay as they are, and a chosen password that is not theirs is reported to the operator; with reset they get it.
func (d *Directory) Ensure(ctx context.Context, passwords Passwords, reset bool) error {
	var names []string
	for _, user := range passwords.users() {
		names = append(names, user.name)
	}
	if err := d.append(ctx, listStream, eventlog.NoStream, list(names)); err != nil && !exists(err) {
		return fmt.Errorf("stream %s: %w", listStream, err)
	}
	var written []standard
	for _, user := range passwords.users() {
		wrote, err := d.ensure(ctx, user, reset)
		if err != nil {
			return fmt.Errorf("user %s: %w", user.name, err)
		}
		if wrote {
			written = append(written, user)
		}
	}
	for _, user := range written {
		// The first call need not pay for what was just derived.
		d.known.add(user.name, user.password(), d.changes.Load(), acl.User{Name: user.name, Groups: []string{user.group}})
	}
	return nil
}

// exists reports whether a write was refused because the stream has been written before.
func exists(err error) bool {
	var wrong *eventlog.WrongExpectedVersionError
	var deleted *eventlog.StreamDeletedError
	return errors.As(err, &wrong) || errors.As(err, &deleted)
}

func (d *Directory) ensure(ctx context.Context, user standard, reset bool) (wrote bool, err error) {
	stream, err := d.log.Stream(ctx, streamPrefix+user.name)
	if err != nil {
		return false, err
	}
	switch {
	case stream.Last < 0:
		return true, d.put(ctx, user, eventlog.NoStream, typeCreated)
	case user.chosen == "" || stream.Tombstoned() && !reset:
		return false, nil
	case reset:
		return true, d.put(ctx, user, eventlog.Any, typeUpdated)
	}
	_, err = d.Authenticate(ctx, user.name, user.chosen)
	if errors.Is(err, ErrRefused) {
		d.logger.Warn("the user exists, with another password than the one given: that of the store stays", "user", user.name)
		err = nil
	}
	return false, err
}

// put stores a standard user with its chosen password, enabled and in its group.
func (d *Directory) put(ctx context.Context, user standard, expected eventlog.Expected, eventType string) error {
	kept, err := newSecret(user.password(), d.iterations)
	if err != nil {
		return err
	}
	event, err := record{LoginName: user.name, FullName: user.fullName, Groups: []string{user.group}, secret: kept}.event(eventType)
	if err != nil {
		return err
	}
	return d.append(ctx, streamPrefix+user.name, expected, []eventlog.Proposed{event})
}

// append writes with the patience that a start deserves on a machine that is busy. Repeating a write that timed out is
// safe: if it was committed after all, it is recognised.
func (d *Directory) append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) error {
	const attempts = 15
	var err error
	for range attempts {
		if _, err = d.log.Append(ctx, stream, expected, events); !errors.Is(err, eventlog.ErrTimeout) {
			return err
		}
	}
	return err
}

// WithDefaultPassword names the standard users who can log in with the password that everybody knows.
func (d *Directory) WithDefaultPassword(ctx context.Context) []string {
	var names []string
	for _, user := range (Passwords{}).users() {
		if _, err := d.Authenticate(ctx, user.name, DefaultPassword); err == nil {
			names = append(names, user.name)
		}
	}
	return names
}
