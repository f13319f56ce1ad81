package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/verify"
	"orderflow/pkg/es"
)

// wholeSystem says where all services of a system answer.
type wholeSystem struct {
	dataFlag
	URL map[string]string `help:"Where a service answers, in place of the system that is up; repeated for each of them." placeholder:"NAME=URL"`
}

// find returns the system that is up, or the one that the flags name, which must have all of these services.
func (w wholeSystem) find(services []string) (datadir.State, error) {
	if len(w.URL) == 0 {
		state, up, err := runningState(w.dir())
		if err == nil && !up {
			err = fmt.Errorf("%w; --url NAME=URL names services elsewhere", errNotUp)
		}
		return state, err
	}
	urls := map[string]string{}
	for name, url := range w.URL {
		if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			return datadir.State{}, fmt.Errorf("--url: %s of %s begins neither with http:// nor with https://", url, name)
		}
		urls[name] = strings.TrimRight(url, "/")
	}
	for _, name := range services {
		if urls[name] == "" {
			return datadir.State{}, fmt.Errorf("--url: %s is missing: all of %s are asked", name, strings.Join(services, ", "))
		}
	}
	return datadir.State{URLs: urls}, nil
}

// exitCodeError ends the program with a code of its own.
type exitCodeError struct {
	code int
	err  error
}

// Error is the reason.
func (e exitCodeError) Error() string { return e.err.Error() }

// Unwrap returns the reason.
func (e exitCodeError) Unwrap() error { return e.err }

// cannotLook is the exit code of commands that compare or explain when somebody who must be asked does not answer.
const cannotLook = 2

type verifyCommand struct {
	wholeSystem
	EventStore string        `help:"Connection string of the event store, in place of EVENTSTORE_URL or that of the system that is up." placeholder:"URL"`
	Lag        time.Duration `help:"How long anything may take to arrive everywhere." default:"5s"`
	Most       int           `help:"How many differences of one service are looked into; the others are counted." default:"1000"`
	JSON       bool          `name:"json" help:"One JSON object instead of text."`
}

// Help tells what cannot be read off the flags.
func (*verifyCommand) Help() string {
	return `It reads the log of the event store and what every service shows and has announced, and tells what is missing, double, different, ahead of its source, or follows from nothing that was committed. Sums of reporting are compared with the orders.

What is younger than --lag is not judged: a difference is told when it is there at two looks with the lag between them. A service that does not answer is asked again for as long, then named, and the others are compared.

Announcements are remembered for 7 days at least, and are looked for as far back; the report says from when on.

Exit codes: 0 everything is as it should be; 1 something is not; 2 nothing wrong was found, but not all could be looked at: the report says who does not answer.

On the system that is up:
    orderflow verify
    orderflow verify --lag 30s --json

On one elsewhere, from wherever its services and its event store can be reached:
    orderflow verify --event-store esdb://eventstore:2113?tls=false --url order=http://order:8082 --url packing=http://packing:8083 ...`
}

// Run compares, and fails when something is not as it should be.
func (c *verifyCommand) Run(ctx context.Context, term terminal) error {
	if c.Lag < 0 || c.Most < 1 {
		return exitCodeError{cannotLook, errors.New("--lag is at least 0s, and --most at least 1")}
	}
	state, err := c.find(verify.Services())
	if err != nil {
		return exitCodeError{cannotLook, err}
	}
	eventStore := cmp.Or(c.EventStore, term.Environ["EVENTSTORE_URL"], state.EventStore)
	if eventStore == "" {
		return exitCodeError{cannotLook, errors.New("--event-store names the event store of services elsewhere")}
	}
	store, err := es.Open(eventStore, nil)
	if err != nil {
		return exitCodeError{cannotLook, err}
	}
	defer store.Close()
	services := client.New(state.URLs, 2)
	defer services.Close()
	verifier := verify.Verifier{Client: services, Store: store, Lag: c.Lag, Most: c.Most, Tell: func(doing string) {
		if !c.JSON {
			fmt.Fprintln(term.Err, doing)
		}
	}}
	report, err := verifier.Run(ctx)
	if err != nil {
		return exitCodeError{cannotLook, err}
	}
	if c.JSON {
		err = report.WriteJSON(term.Out)
	} else {
		err = report.Write(term.Out, c.Lag)
	}
	switch {
	case err != nil:
		return exitCodeError{cannotLook, err}
	case len(report.Differences) == 1:
		return errors.New("1 difference")
	case !report.Fine():
		return fmt.Errorf("%d differences", len(report.Differences))
	case !report.Whole():
		missing := strings.Join(slices.Sorted(maps.Keys(report.NotChecked)), ", ")
		return exitCodeError{cannotLook, errors.New("cannot look at everything: no answer from " + missing)}
	}
	return nil
}
