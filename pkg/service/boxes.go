package service

import (
	"context"
	"encoding/json"

	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
)

// Box is a place where events wait for a person: [InboxBox], [OutboxBox] or
// [RelayBox].
type Box interface {
	list(ctx context.Context, cursor string, limit int) ([]DeadLetter, string, error)
	get(ctx context.Context, id string) (DeadLetter, error)
	Redrive(ctx context.Context, id string) error
	Discard(ctx context.Context, id string) error
}

// InboxBox, OutboxBox and RelayBox are the boxes a service can have.
type (
	// InboxBox holds events that this service could not handle.
	InboxBox struct{ *inbox.Inbox }
	// OutboxBox holds events of this service that the bus refused.
	OutboxBox struct{ *outbox.Outbox }
	// RelayBox holds committed events that could not be translated.
	RelayBox struct{ *relay.Relay }
)

func (b InboxBox) list(ctx context.Context, cursor string, limit int) ([]DeadLetter, string, error) {
	page, next, err := b.DeadLetters(ctx, cursor, limit)
	letters := make([]DeadLetter, len(page))
	for i, letter := range page {
		letters[i] = ofInbox(letter)
	}
	return letters, next, err
}

func (b InboxBox) get(ctx context.Context, id string) (DeadLetter, error) {
	letter, err := b.DeadLetter(ctx, id)
	return ofInbox(letter), err
}

func ofInbox(d inbox.DeadLetter) DeadLetter {
	return DeadLetter{
		ID: d.Event.ID, Box: "inbox", Status: d.Status, Reason: d.Reason, Attempts: d.Attempts,
		ReceivedAt: d.ReceivedAt, FailedAt: d.FailedAt, DueAt: d.DueAt, Event: structured(d.Event),
	}
}

func (b OutboxBox) list(ctx context.Context, cursor string, limit int) ([]DeadLetter, string, error) {
	page, next, err := b.DeadLetters(ctx, cursor, limit)
	letters := make([]DeadLetter, len(page))
	for i, letter := range page {
		letters[i] = ofOutbox(letter)
	}
	return letters, next, err
}

func (b OutboxBox) get(ctx context.Context, id string) (DeadLetter, error) {
	letter, err := b.DeadLetter(ctx, id)
	return ofOutbox(letter), err
}

func ofOutbox(p outbox.Published) DeadLetter {
	return DeadLetter{
		ID: p.Event.ID, Box: "outbox", Status: "parked", Reason: p.Reason, Attempts: 1,
		ReceivedAt: p.AddedAt, FailedAt: p.ParkedAt, Event: structured(p.Event),
	}
}

func (b RelayBox) list(ctx context.Context, cursor string, limit int) ([]DeadLetter, string, error) {
	page, next, err := b.DeadLetters(ctx, cursor, limit)
	letters := make([]DeadLetter, len(page))
	for i, letter := range page {
		letters[i] = ofRelay(letter)
	}
	return letters, next, err
}

func (b RelayBox) get(ctx context.Context, id string) (DeadLetter, error) {
	letter, err := b.DeadLetter(ctx, id)
	return ofRelay(letter), err
}

func ofRelay(p relay.Parked) DeadLetter {
	return DeadLetter{
		ID: p.ID, Box: "relay", Status: "parked", Reason: p.Reason, Attempts: 1, ReceivedAt: p.ParkedAt, FailedAt: p.ParkedAt,
		Event: structured(map[string]any{"id": p.ID, "type": p.Type, "stream": p.Stream, "revision": p.Revision, "position": p.Position}),
	}
}

// structured writes an event as JSON; what cannot be written is shown as text.
func structured(event any) json.RawMessage {
	text, err := json.Marshal(event)
	if err != nil {
		text, _ = json.Marshal(err.Error()) // a string always can
	}
	return text
}
