package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
)

// DeadLetter is an event that could not be handled or published so far.
type DeadLetter struct {
	ID     string `json:"id"`
	Box    string `json:"box" enum:"inbox,outbox,relay"`
	Status string `json:"status" enum:"held,parked"`
	Reason string `json:"reason"`
	// Attempts is 0 for an event that waits behind another of its subject.
	Attempts   int             `json:"attempts"`
	ReceivedAt time.Time       `json:"receivedAt"`
	FailedAt   time.Time       `json:"failedAt,omitzero"`
	DueAt      time.Time       `json:"dueAt,omitzero"`
	Event      json.RawMessage `json:"event" doc:"the event as structured CloudEvents JSON"`
}

type deadLettersInput struct{ PageQuery }

type deadLettersOutput struct{ Body Page[DeadLetter] }

type deadLetterInput struct {
	ID string `path:"id"`
}

type deadLetterOutput struct{ Body DeadLetter }

// ServeDeadLetters adds the operations on /deadletters for the boxes given.
// Events are listed box by box, newest first in each. When the service has the
// event bus, which it opens before, it adds /unrouted as well.
func (s *Service) ServeDeadLetters(boxes ...Box) {
	if s.bus != nil {
		s.serveUnrouted(s.bus)
	}
	Get(s, "/deadletters", "Events that could not be handled or published", func(ctx context.Context, in *deadLettersInput) (*deadLettersOutput, error) {
		page, err := deadLetterPage(ctx, boxes, in.PageQuery)
		if err != nil {
			return nil, problemOfDeadLetter("", err)
		}
		return &deadLettersOutput{page}, nil
	})
	Get(s, "/deadletters/{id}", "One of them", func(ctx context.Context, in *deadLetterInput) (*deadLetterOutput, error) {
		_, letter, err := find(ctx, boxes, in.ID)
		if err != nil {
			return nil, problemOfDeadLetter(in.ID, err)
		}
		return &deadLetterOutput{letter}, nil
	})
	Post(s, "/deadletters/{id}/redrive", "Try it again", func(ctx context.Context, in *deadLetterInput) (*deadLetterOutput, error) {
		box, letter, err := find(ctx, boxes, in.ID)
		if err == nil {
			err = box.Redrive(ctx, in.ID)
		}
		if err != nil {
			return nil, problemOfDeadLetter(in.ID, err)
		}
		return &deadLetterOutput{letter}, nil
	})
	Delete(s, "/deadletters/{id}", "Give it up for good", func(ctx context.Context, in *deadLetterInput) (*struct{}, error) {
		box, _, err := find(ctx, boxes, in.ID)
		if err == nil {
			err = box.Discard(ctx, in.ID)
		}
		if err != nil {
			return nil, problemOfDeadLetter(in.ID, err)
		}
		return nil, nil //nolint:nilnil // 204 has no body
	})
}

// deadLetterPage reads a page that may span several boxes. The cursor names the
// box it goes on in, and the cursor there.
func deadLetterPage(ctx context.Context, boxes []Box, query PageQuery) (Page[DeadLetter], error) {
	page := Page[DeadLetter]{Items: []DeadLetter{}}
	box, cursor := 0, ""
	if _, err := query.Key(&box, &cursor); err != nil {
		return page, err
	}
	if box < 0 || box >= len(boxes) {
		return page, inbox.ErrBadCursor
	}
	for ; box < len(boxes); box, cursor = box+1, "" {
		room := query.Limit - len(page.Items)
		letters, next, err := boxes[box].list(ctx, cursor, max(room, 1))
		if err != nil {
			return page, err
		}
		if room == 0 { // the page is full: is there another?
			if len(letters) > 0 {
				page.NextCursor = Cursor(box, "")
				return page, nil
			}
			continue
		}
		page.Items = append(page.Items, letters...)
		if next != "" {
			page.NextCursor = Cursor(box, next)
			return page, nil
		}
	}
	return page, nil
}

// find looks for a dead letter in every box.
func find(ctx context.Context, boxes []Box, id string) (Box, DeadLetter, error) {
	if strings.ContainsRune(id, 0) || !utf8.ValidString(id) { // PostgreSQL's text cannot hold it
		return nil, DeadLetter{}, NotFound("dead letter", id)
	}
	for _, box := range boxes {
		letter, err := box.get(ctx, id)
		var problem *Problem
		if err == nil {
			return box, letter, nil
		}
		if !errors.As(problemOfDeadLetter(id, err), &problem) || problem.Status != http.StatusNotFound {
			return nil, DeadLetter{}, err
		}
	}
	return nil, DeadLetter{}, NotFound("dead letter", id)
}

func problemOfDeadLetter(id string, err error) error {
	switch {
	case errors.Is(err, inbox.ErrNotHeld), errors.Is(err, outbox.ErrNotParked), errors.Is(err, relay.ErrNotParked):
		return NotFound("dead letter", id)
	case errors.Is(err, inbox.ErrMalformed):
		return NewProblem(http.StatusConflict, "malformed-event", err.Error())
	case errors.Is(err, relay.ErrUntranslatable):
		return NewProblem(http.StatusConflict, "untranslatable-event", err.Error())
	case errors.Is(err, inbox.ErrBadCursor), errors.Is(err, outbox.ErrBadCursor), errors.Is(err, relay.ErrBadCursor):
		return badCursor()
	default:
		return err
	}
}
