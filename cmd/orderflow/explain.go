package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/explain"
)

type explainCommand struct {
	wholeSystem
	Order string `arg:"" help:"Id of the order."`
	JSON  bool   `name:"json" help:"One JSON object instead of text."`
}

// Help tells what cannot be read off the flags.
func (*explainCommand) Help() string {
	return `Each line says when something happened, where, and how long it took: what of that was working, and what was waiting for a person, in the queue, or to be sent. Below stands what is still to come and from whom, and the command that has tried again what is held or parked.

Exit codes: 0 the whole story was told; 1 nobody knows the order; 2 a service does not answer, so that its part is missing.`
}

// Run tells the story of the order.
func (c *explainCommand) Run(ctx context.Context, term terminal) error {
	if id, err := uuid.Parse(c.Order); err != nil || id.String() != c.Order {
		return fmt.Errorf("%q is not the id of an order", c.Order)
	}
	state, err := c.find(explain.Services())
	if err != nil {
		return exitCodeError{cannotLook, err}
	}
	services := client.New(state.URLs, 2)
	defer services.Close()
	story, err := explain.Read(ctx, services, c.Order)
	if err != nil {
		return err
	}
	if c.JSON {
		err = story.WriteJSON(term.Out)
	} else {
		err = story.Write(term.Out, time.Now())
	}
	if err == nil && len(story.Silent) > 0 {
		missing := strings.Join(slices.Sorted(maps.Keys(story.Silent)), ", ")
		return exitCodeError{cannotLook, errors.New("the story is not whole: no answer from " + missing)}
	}
	return err
}
