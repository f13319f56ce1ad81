package service

import (
	"context"
	"time"

	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
)

// Announcement is an event that a service has announced or is about to, without
// its data.
type Announcement struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	Subject     string `json:"subject"`
	Sequence    int64  `json:"sequence"`
	CausationID string `json:"causationId,omitempty" doc:"the command or the committed event that it follows from"`
	Status      string `json:"status" enum:"pending,published,parked"`
	// At is when it got that status, UTC.
	At time.Time `json:"at"`
}

// AnnouncementKey is the place of an announcement in the list.
type AnnouncementKey struct{ Subject, ID string }

// Announcements returns up to limit announcements behind a place, in an order of
// its own, as far as the service's memory goes back: 7 days.
type Announcements func(ctx context.Context, after AnnouncementKey, limit int) ([]Announcement, error)

type announcementsOutput struct{ Body Page[Announcement] }

// ServeAnnouncements adds GET /announcements: what this service has announced,
// as far as it remembers, for reconciliation with what was committed.
func (s *Service) ServeAnnouncements(read Announcements) {
	Get(s, "/announcements", "What was announced, for reconciliation", func(ctx context.Context, in *struct{ PageQuery }) (*announcementsOutput, error) {
		var after AnnouncementKey
		if _, err := in.Key(&after.Subject, &after.ID); err != nil {
			return nil, err
		}
		found, err := read(ctx, after, in.Limit+1)
		if err != nil {
			return nil, err
		}
		return &announcementsOutput{PageOf(found, in.Limit, func(a Announcement) []any { return []any{a.Subject, a.ID} })}, nil
	})
}

// OfRelay tells what a relay has announced.
func OfRelay(r *relay.Relay) Announcements {
	return func(ctx context.Context, after AnnouncementKey, limit int) ([]Announcement, error) {
		published, err := r.Published(ctx, after.Subject, after.ID, limit)
		found := make([]Announcement, len(published))
		for i, p := range published {
			found[i] = Announcement{
				ID: p.ID, Type: p.Type, Subject: p.Subject, Sequence: p.Sequence, CausationID: p.CausationID,
				Status: "published", At: p.PublishedAt,
			}
		}
		return found, err
	}
}

// OfOutbox tells what an outbox has announced.
func OfOutbox(out *outbox.Outbox) Announcements {
	return func(ctx context.Context, after AnnouncementKey, limit int) ([]Announcement, error) {
		rows, err := out.Published(ctx, after.ID, limit)
		found := make([]Announcement, len(rows))
		for i, row := range rows {
			item := publication(row.Event, row.AddedAt, row.SentAt, row.ParkedAt, row.Reason)
			found[i] = Announcement{
				ID: item.ID, Type: item.Type, Subject: row.Event.Subject, Sequence: row.Event.Sequence, CausationID: item.CausationID,
				Status: item.Kind, At: item.At,
			}
		}
		return found, err
	}
}
