package deadletters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/pkg/eventbus"
)

// Letter is an event that could not be handled or published, with the service that has it.
type Letter = client.DeadLetter

// Filter says which letters are meant. The zero value means all.
type Filter struct {
	// Type is a pattern of types, as queues have them: * is one word, # any number. Empty is any type.
	Type string
	// Subject is the id of what the event is about; empty is any.
	Subject string
	// Status is held or parked; empty is both.
	Status string
}

func (f Filter) fits(letter Letter) bool {
	typ, subject := letter.About()
	return (f.Type == "" || eventbus.Match(f.Type, typ)) &&
		(f.Subject == "" || f.Subject == subject) &&
		(f.Status == "" || f.Status == letter.Status)
}

// Desk is where the work is done: on these services of a system.
type Desk struct {
	Client   *client.Client
	Services []string
}

// ErrUnknown says that no service has a letter of an id.
var ErrUnknown = errors.New("no dead letter has this id")

// All returns the letters that fit, newest first. The error has one line for each service that could not be asked; the
// letters of the others are there nevertheless.
func (d Desk) All(ctx context.Context, filter Filter) ([]Letter, error) {
	return d.ask(func(service string) (found []Letter, err error) {
		err = d.Client.DeadLetters(ctx, service, func(letter Letter) {
			if filter.fits(letter) {
				found = append(found, letter)
			}
		})
		return found, err
	})
}

// ByID returns the letters of the ids, newest first: several of one id when several services have it. An id that none of
// them has is an error wrapping [ErrUnknown]; the letters of the others are there nevertheless.
func (d Desk) ByID(ctx context.Context, ids ...string) ([]Letter, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	found, err := d.ask(func(service string) (found []Letter, err error) {
		for _, id := range ids {
			letter, err := d.Client.DeadLetter(ctx, service, id)
			switch {
			case err == nil:
				found = append(found, letter)
			case !client.IsNotFound(err):
				return found, err
			}
		}
		return found, nil
	})
	for _, id := range ids {
		if !slices.ContainsFunc(found, func(letter Letter) bool { return letter.ID == id }) {
			err = errors.Join(err, fmt.Errorf("%w: %s", ErrUnknown, id))
		}
	}
	return found, err
}

// ask asks every service at the same time.
func (d Desk) ask(question func(service string) ([]Letter, error)) ([]Letter, error) {
	found, failed := make([][]Letter, len(d.Services)), make([]error, len(d.Services))
	var asking sync.WaitGroup
	for i, service := range d.Services {
		asking.Go(func() {
			var err error
			found[i], err = question(service)
			failed[i] = inOneLine(service, err)
		})
	}
	asking.Wait()
	all := slices.Concat(found...)
	slices.SortStableFunc(all, func(a, b Letter) int {
		return cmp.Or(b.ReceivedAt.Compare(a.ReceivedAt), strings.Compare(a.Service, b.Service))
	})
	return all, errors.Join(failed...)
}

// inOneLine is an error as a person reads it in a list.
func inOneLine(service string, err error) error {
	if reason, unreachable := client.IsUnreachable(err); unreachable {
		return fmt.Errorf("%s does not answer: %s", service, reason)
	}
	return err
}
