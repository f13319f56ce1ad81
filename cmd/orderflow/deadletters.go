package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/deadletters"
	"orderflow/cmd/orderflow/internal/embedded"
	"orderflow/pkg/eventbus"
)

// deadlettersCommand is what people do about events that could not be handled or published.
type deadlettersCommand struct {
	List    listLetters    `cmd:"" default:"withargs" help:"List the events that could not be handled or published, in all services."`
	Show    showLetters    `cmd:"" help:"Show everything about some of them, the event included."`
	Redrive redriveLetters `cmd:"" help:"Have them tried again, oldest first."`
	Discard discardLetters `cmd:"" help:"Give them up for good."`
}

// whichServices says where to look.
type whichServices struct {
	dataFlag
	Service []string          `help:"Only this service; may be repeated." placeholder:"NAME"`
	URL     map[string]string `help:"Where a service answers, in place of the system that is up; may be repeated." placeholder:"NAME=URL"`
}

// desk finds the services.
func (w whichServices) desk() (deadletters.Desk, error) {
	urls := w.URL
	if len(urls) == 0 {
		state, up, err := runningState(w.dir())
		if err != nil {
			return deadletters.Desk{}, err
		}
		if !up {
			return deadletters.Desk{}, fmt.Errorf("%w; --url NAME=URL names services elsewhere", errNotUp)
		}
		urls = state.URLs
	}
	for name, url := range urls {
		if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			return deadletters.Desk{}, fmt.Errorf("--url: %s of %s begins neither with http:// nor with https://", url, name)
		}
		urls[name] = strings.TrimRight(url, "/")
	}
	services := []string{}
	for _, name := range append(embedded.Names(), slices.Sorted(maps.Keys(urls))...) {
		if wanted := len(w.Service) == 0 || slices.Contains(w.Service, name); wanted && urls[name] != "" && !slices.Contains(services, name) {
			services = append(services, name)
		}
	}
	for _, name := range w.Service {
		if !slices.Contains(services, name) {
			return deadletters.Desk{}, fmt.Errorf("--service: there is no %s among %s", name, strings.Join(slices.Sorted(maps.Keys(urls)), ", "))
		}
	}
	return deadletters.Desk{Client: client.New(urls, 1), Services: services}, nil
}

// whichLetters says which of them are meant.
type whichLetters struct {
	Type    string `help:"Only events of this type; * stands for one word and # for any number, as in order.events.#." placeholder:"PATTERN"`
	Subject string `help:"Only events about this order, customer or product." placeholder:"ID"`
	Status  string `help:"Only events that are held (and tried again by themselves), or parked (and left to a person)." enum:"held,parked," default:""`
}

func (w whichLetters) filter() (deadletters.Filter, error) {
	if w.Type != "" {
		if err := eventbus.ValidatePattern(w.Type); err != nil {
			return deadletters.Filter{}, fmt.Errorf("--type: %w", err)
		}
	}
	return deadletters.Filter{Type: w.Type, Subject: w.Subject, Status: w.Status}, nil
}

type listLetters struct {
	whichServices
	whichLetters
	JSON bool `name:"json" help:"One JSON object a line, with the event, instead of a table."`
}

// Run lists, and says how many events wait that nobody had subscribed to. It fails when a service could not be asked.
func (c *listLetters) Run(ctx context.Context, term terminal) error {
	filter, err := c.filter()
	if err != nil {
		return err
	}
	desk, err := c.desk()
	if err != nil {
		return err
	}
	defer desk.Client.Close()
	letters, failed := desk.All(ctx, filter)
	if c.JSON {
		return errors.Join(deadletters.WriteJSON(term.Out, letters, ""), failed)
	}
	if len(letters) == 0 && failed == nil {
		fmt.Fprintln(term.Out, "no dead letters")
	} else if len(letters) == 0 {
		fmt.Fprintln(term.Out, "no dead letters where it could be asked")
	} else if err := deadletters.WriteTable(term.Out, letters, time.Now()); err != nil {
		return err
	}
	if events, err := desk.Unrouted(ctx); err == nil && events > 0 {
		fmt.Fprintf(term.Out, "%d unrouted: events that nobody had subscribed to (orderflow deadletters redrive --unrouted publishes them again)\n", events)
	}
	return failed
}

type showLetters struct {
	whichServices
	IDs []string `arg:"" name:"id" help:"Ids of events, as list shows them."`
}

// Run shows letters as JSON. It fails when no service has one of the ids.
func (c *showLetters) Run(ctx context.Context, term terminal) error {
	desk, err := c.desk()
	if err != nil {
		return err
	}
	defer desk.Client.Close()
	letters, failed := desk.ByID(ctx, c.IDs...)
	return errors.Join(deadletters.WriteJSON(term.Out, letters, "  "), failed)
}
