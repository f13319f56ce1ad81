package verify

import (
	"context"
	"slices"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

// remembered is how long a service remembers at least what it has announced: 7
// days, less an hour for those who have just forgotten.
const remembered = 7*24*time.Hour - time.Hour

// recordedAs tells which fact on the order's stream must follow from what packing
// and dispatch announce.
func recordedAs(typ string) (which int, ok bool) {
	switch typ {
	case "packing.events.packed.v1":
		return packed, true
	case "dispatch.events.dispatched.v1":
		return dispatched, true
	case "packing.events.rejected.v1":
		return cancelled, true
	default:
		return 0, false
	}
}

// lookAtAnnouncements compares what a service has announced with what was
// committed: on streams, or, of a product, in the catalog. What else packing and
// dispatch say is committed with the announcement itself.
func (v *Verifier) lookAtAnnouncements(ctx context.Context, name string, s *suspicion) error {
	if !slices.Contains([]string{"catalog", "customer", "order", "packing", "dispatch"}, name) {
		return nil
	}
	for cursor := ""; ; {
		page, next, err := v.Client.Announcements(ctx, name, cursor)
		if err != nil {
			return &CannotLookError{Where: name, Err: err}
		}
		v.report.Announcements += len(page)
		wrong, err := v.uncaused(ctx, name, page)
		if err != nil {
			return err
		}
		for _, a := range wrong {
			if s.room(a.At) {
				s.announcements = append(s.announcements, a)
			}
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

// uncaused returns the announcements that nothing committed is behind, or that
// have not left yet.
func (v *Verifier) uncaused(ctx context.Context, name string, page []service.Announcement) (wrong []service.Announcement, err error) {
	if len(page) == 0 {
		return nil, nil
	}
	if name == "order" || name == "customer" {
		causes := make([]string, len(page))
		for i, a := range page {
			causes[i] = a.CausationID
		}
		known, err := v.book.tell(ctx, causes)
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(page, func(a service.Announcement) bool { return known[a.CausationID] }), nil
	}
	kind := service.LedgerOrder
	if name == "catalog" {
		kind = service.LedgerProduct
	}
	subjects := make([]string, len(page))
	for i, a := range page {
		subjects[i] = a.Subject
	}
	truths, err := v.book.truths(ctx, kind, subjects)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(page, func(a service.Announcement) bool { return announcementFits(truths[a.Subject], a) }), nil
}

// announcementFits reports whether an announcement of catalog, packing or
// dispatch has left, and agrees with what was committed elsewhere.
func announcementFits(t truth, a service.Announcement) bool {
	if t.Kind == service.LedgerProduct {
		return a.Sequence <= t.Revision // whether it has left, others show
	}
	which, asked := recordedAs(a.Type)
	switch {
	case a.Status != "published":
		return false
	case !asked:
		return true
	case which == cancelled: // a rejection comes too late for an order that is gone
		return t.has(cancelled) || t.has(dispatched)
	default:
		return t.has(which)
	}
}

// lookForUnannounced suspects the events that nobody was told of, as far as the
// services remember.
func (v *Verifier) lookForUnannounced(ctx context.Context, suspects map[string]*suspicion) error {
	since := time.Now().Add(-remembered).UnixMicro()
	before := time.Now().UnixMicro() + 1
	for after := ""; ; {
		events, err := v.book.untold(ctx, since, before, after, 500)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			publisher, _, _ := strings.Cut(e.typ, "-")
			if s := suspects[publisher]; s.room(time.UnixMicro(e.at)) {
				s.unannounced = append(s.unannounced, e)
			}
		}
		after = events[len(events)-1].id
	}
}

// judgeAnnouncements tells which announcements still have no cause, and which
// events still were not announced.
func (v *Verifier) judgeAnnouncements(ctx context.Context, name string, s *suspicion) error {
	for _, a := range s.announcements {
		d := Difference{Service: name, Problem: Uncommitted, Kind: service.LedgerOrder, Subject: a.Subject, Field: a.Type + " " + a.ID}
		fits, err := v.causedNow(ctx, name, a, &d)
		if err != nil {
			return err
		}
		switch {
		case fits:
		case v.young(a.At):
			v.report.Unjudged++
		default:
			v.found = append(v.found, d)
		}
	}
	for _, e := range s.unannounced {
		t, err := v.truth(ctx, about{name, e.subject})
		if err != nil {
			return err
		}
		trace, err := v.Client.Trace(ctx, name, e.subject)
		if err != nil {
			return &CannotLookError{Where: name, Err: err}
		}
		told := slices.ContainsFunc(trace, func(item client.TraceItem) bool { return item.Kind == "published" && item.CausationID == e.id })
		switch {
		case told, t.Forgotten: // who is forgotten is not talked of any more
		case v.young(time.UnixMicro(e.at)):
			v.report.Unjudged++
		default:
			v.found = append(v.found, Difference{Service: name, Problem: Unannounced, Kind: name, Subject: e.subject, Field: e.typ + " " + e.id})
		}
	}
	return nil
}

// causedNow looks again whether an announcement has a cause and has left, and
// says what it is about in d.
func (v *Verifier) causedNow(ctx context.Context, name string, a service.Announcement, d *Difference) (bool, error) {
	switch name {
	case "order":
		return v.inStreams(ctx, a, "order", "fulfilment")
	case "customer":
		d.Kind = service.LedgerCustomer
		return v.inStreams(ctx, a, "customer")
	case "catalog":
		d.Kind = service.LedgerProduct
	default:
		now, err := v.Client.Trace(ctx, name, a.Subject)
		if err != nil {
			return false, &CannotLookError{Where: name, Err: err}
		}
		for _, item := range now {
			if item.ID == a.ID {
				a.Status = item.Kind
			}
		}
	}
	t, err := v.truth(ctx, about{d.Kind, a.Subject})
	if err != nil || announcementFits(t, a) {
		return true, err
	}
	if a.Status != "published" {
		d.Problem = Unannounced
	}
	return false, nil
}

// inStreams reports whether the cause of an announcement is in one of the
// streams of its subject.
func (v *Verifier) inStreams(ctx context.Context, a service.Announcement, categories ...string) (bool, error) {
	for _, category := range categories {
		events, err := v.events(ctx, category, a.Subject)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(events, func(r es.Recorded) bool { return r.ID.String() == a.CausationID }) {
			return true, nil
		}
	}
	return false, nil
}
