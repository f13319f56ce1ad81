package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// DeadLetter is an event that a service could not handle or publish so far, as the service tells it.
type DeadLetter struct {
	ID     string `json:"id"`
	Box    string `json:"box"`
	Status string `json:"status"`
	Reason string `json:"reason"`
	// Attempts is 0 for an event that waits behind another of its subject.
	Attempts   int             `json:"attempts"`
	ReceivedAt time.Time       `json:"receivedAt"`
	FailedAt   time.Time       `json:"failedAt,omitzero"`
	DueAt      time.Time       `json:"dueAt,omitzero"`
	Event      json.RawMessage `json:"event"`
	// Service is where it is.
	Service string `json:"service"`
}

// About returns the type and the subject of the event; of a committed event that could not be translated, the stream.
func (d DeadLetter) About() (typ, subject string) {
	var event struct{ Type, Subject, Stream string }
	if err := json.Unmarshal(d.Event, &event); err != nil {
		return "", "" // what it is cannot be read; the event itself is shown
	}
	if event.Subject == "" {
		event.Subject = event.Stream
	}
	return event.Type, event.Subject
}

// DeadLetters calls visit with every dead letter of a service, page by page, box by box and newest first in each. A
// service that has no boxes has none.
func (c *Client) DeadLetters(ctx context.Context, service string, visit func(DeadLetter)) error {
	for cursor := ""; ; {
		var page struct {
			Items      []DeadLetter
			NextCursor string
		}
		err := c.get(ctx, service, "/deadletters?limit=100&cursor="+url.QueryEscape(cursor), &page)
		if IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, letter := range page.Items {
			letter.Service = service
			visit(letter)
		}
		if page.NextCursor == "" {
			return nil
		}
		cursor = page.NextCursor
	}
}

// DeadLetter reads one dead letter of a service; see [IsNotFound].
func (c *Client) DeadLetter(ctx context.Context, service, id string) (DeadLetter, error) {
	var letter DeadLetter
	err := c.get(ctx, service, "/deadletters/"+url.PathEscape(id), &letter)
	letter.Service = service
	return letter, err
}

// Redrive has a dead letter tried again.
func (c *Client) Redrive(ctx context.Context, service, id string) error {
	return c.post(ctx, service, "/deadletters/"+url.PathEscape(id)+"/redrive", nil, nil)
}

// Discard gives a dead letter up for good.
func (c *Client) Discard(ctx context.Context, service, id string) error {
	return c.call(ctx, http.MethodDelete, service, "/deadletters/"+url.PathEscape(id), nil, nil)
}

// Unrouted counts the events that nobody had subscribed to when they were published, as a service sees the bus.
func (c *Client) Unrouted(ctx context.Context, service string) (int, error) {
	var kept struct{ Events int }
	err := c.get(ctx, service, "/unrouted", &kept)
	return kept.Events, err
}

// RedrivenUnrouted is what a service has done about those events: how many were published once more, how many messages
// are no events and kept apart now, and how many are still there, or there again.
type RedrivenUnrouted struct{ Published, Malformed, Left int }

// RedriveUnrouted has a service publish those events once more, no more than perSecond a second, for as long as one
// request may take.
func (c *Client) RedriveUnrouted(ctx context.Context, service string, perSecond int) (done RedrivenUnrouted, err error) {
	err = c.post(ctx, service, fmt.Sprintf("/unrouted/redrive?perSecond=%d", perSecond), nil, &done)
	return done, err
}

// IsNotFound tells the answer that there is no such thing from every other failure.
func IsNotFound(err error) bool {
	problem, ok := errors.AsType[*Problem](err)
	return ok && problem.Status == http.StatusNotFound
}

// IsUnreachable tells a service that does not answer from one that says no. reason is why, without the address.
func IsUnreachable(err error) (reason string, yes bool) {
	unanswered, ok := errors.AsType[*url.Error](err)
	if !ok {
		return "", false
	}
	if unanswered.Timeout() {
		return "no answer in time", true
	}
	reason = unanswered.Err.Error()
	for inner := unanswered.Err; inner != nil; inner = errors.Unwrap(inner) {
		reason = inner.Error()
	}
	return reason, true
}
