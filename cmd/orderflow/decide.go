package main

import (
	"context"
	"errors"
	"fmt"

	"orderflow/cmd/orderflow/internal/deadletters"
	"orderflow/pkg/eventbus"
)

// decideLetters is what redrive and discard have in common.
type decideLetters struct {
	whichServices
	whichLetters
	IDs    []string `arg:"" optional:"" name:"id" help:"Ids of events, as list shows them; or say which with a flag."`
	All    bool     `help:"All that are parked."`
	DryRun bool     `help:"Only list what is meant."`
	Rate   int      `help:"The most events a second." default:"100"`
}

const mostPerSecond = 10_000

// check refuses what is unclear: nobody should redrive everything by leaving something out.
func (c *decideLetters) check() error {
	filtered := c.Type != "" || c.Subject != "" || c.Status != "" || len(c.Service) > 0
	switch {
	case len(c.IDs) > 0 && (c.All || c.Type != "" || c.Subject != "" || c.Status != ""):
		return errors.New("name either ids or --all, --type, --subject, --status")
	case len(c.IDs) == 0 && !c.All && !filtered:
		return errors.New("name ids, or say which with --service, --type, --subject, --status or --all")
	}
	return c.checkRate()
}

func (c *decideLetters) checkRate() error {
	if c.Rate < 1 || c.Rate > mostPerSecond {
		return fmt.Errorf("--rate is from 1 to %d", mostPerSecond)
	}
	return nil
}

// meant finds the letters. Without --status a filter means those that are parked: the others are tried again anyway.
func (c *decideLetters) meant(ctx context.Context, desk deadletters.Desk) ([]deadletters.Letter, error) {
	if len(c.IDs) > 0 {
		return desk.ByID(ctx, c.IDs...)
	}
	filter, err := c.filter()
	if err != nil {
		return nil, err
	}
	if filter.Status == "" {
		filter.Status = "parked"
	}
	return desk.All(ctx, filter)
}

// carry finds the letters that are meant, asks whether that is allowed, and carries the decision out. What can be done
// is done, also when part of what was asked for cannot.
func (c *decideLetters) carry(ctx context.Context, term terminal, decision deadletters.Decision, allowed func(letters int) error) error {
	if err := c.check(); err != nil {
		return err
	}
	desk, err := c.desk()
	if err != nil {
		return err
	}
	defer desk.Client.Close()
	letters, failed := c.meant(ctx, desk)
	if c.DryRun {
		for _, letter := range letters {
			fmt.Fprintf(term.Out, "would be %s: %s\n", decision.Done, deadletters.Line(letter))
		}
		fmt.Fprintf(term.Out, "%d would be %s\n", len(letters), decision.Done)
		return failed
	}
	if err := allowed(len(letters)); err != nil {
		return errors.Join(err, failed)
	}
	done := 0
	if len(letters) > 0 {
		var undone error
		done, undone = desk.Carry(ctx, decision, letters, c.Rate, func(letter deadletters.Letter, how string) {
			fmt.Fprintf(term.Out, "%s: %s\n", deadletters.Line(letter), how)
		})
		failed = errors.Join(failed, undone)
	}
	fmt.Fprintf(term.Out, "%d %s\n", done, decision.Done)
	return failed
}

type redriveLetters struct {
	decideLetters
	Unrouted bool `help:"Publish the events once more that nobody had subscribed to when they were published."`
}

// Run has letters tried again.
func (c *redriveLetters) Run(ctx context.Context, term terminal) error {
	if c.Unrouted {
		return c.unrouted(ctx, term)
	}
	return c.carry(ctx, term, deadletters.Redriven(), func(int) error { return nil })
}

func (c *redriveLetters) unrouted(ctx context.Context, term terminal) error {
	if len(c.IDs) > 0 || c.All || c.Type != "" || c.Subject != "" || c.Status != "" {
		return errors.New("--unrouted is about all of them: name nothing else but --rate and --dry-run")
	}
	if err := c.checkRate(); err != nil {
		return err
	}
	desk, err := c.desk()
	if err != nil {
		return err
	}
	defer desk.Client.Close()
	if c.DryRun {
		events, err := desk.Unrouted(ctx)
		if err == nil {
			fmt.Fprintf(term.Out, "%d would be published once more\n", events)
		}
		return err
	}
	done, err := desk.RedriveUnrouted(ctx, c.Rate, func(published int) { fmt.Fprintf(term.Out, "%d published\n", published) })
	if err != nil {
		return err
	}
	if done.Malformed > 0 {
		fmt.Fprintf(term.Out, "%d are no events and cannot be published: they are kept in %s\n", done.Malformed, eventbus.Unrouted+eventbus.DeadSuffix)
	}
	fmt.Fprintf(term.Out, "%d were published once more; %d are without a subscriber now\n", done.Published, done.Left)
	return nil
}

type discardLetters struct {
	decideLetters
	Yes bool `help:"Also when it is more than one event."`
}

// Run gives letters up. More than one at a time need --yes.
func (c *discardLetters) Run(ctx context.Context, term terminal) error {
	return c.carry(ctx, term, deadletters.Discarded(), func(letters int) error {
		if letters > 1 && !c.Yes {
			return fmt.Errorf("%d events would be given up for good: say --yes when that is meant (--dry-run lists them)", letters)
		}
		return nil
	})
}
