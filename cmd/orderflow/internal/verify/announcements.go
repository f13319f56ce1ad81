package verify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

const (
	// remembered is how long a service remembers at least what it has announced: 7
	// days, less an hour for those who have just forgotten.
	remembered = 7*24*time.Hour - time.Hour
	// margin is how much older than a committed event the oldest announcement that
	// is kept has to be, for the event's own to be kept as well.
	margin = time.Hour
)

// announces reports whether a service announces anything.
func announces(name string) bool {
	return slices.Contains([]string{"catalog", "customer", "order", "packing", "dispatch"}, name)
}

// lookAtAnnouncements compares what a service has announced with what was
// committed: on streams, or, of a product, in the catalog.
func (v *Verifier) lookAtAnnouncements(ctx context.Context, name string, s *suspicion) error {
	if !announces(name) {
		return nil
	}
	oldest := time.Now()
	err := v.announcements(ctx, name, func(page []service.Announcement) error {
		v.report.Announcements += len(page)
		for _, a := range page {
			if a.At.Before(oldest) {
				oldest = a.At
			}
		}
		wrong, err := v.wrongAnnouncements(ctx, name, page)
		for _, a := range wrong {
			if s.room(a.At) {
				s.announcements = append(s.announcements, a)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	since := time.Now().Add(-remembered)
	if kept := oldest.Add(margin); name != "order" && name != "customer" && kept.After(since) {
		since = kept // an outbox keeps what its service is told to keep
	}
	if name == "catalog" {
		return v.lookForGaps(ctx, since, s)
	}
	return v.book.wrongly(ctx, name, since.UnixMicro(), func(o owed) {
		if s.room(time.UnixMicro(o.at)) {
			s.unannounced = append(s.unannounced, o)
		}
	})
}

// announcements hands what a service remembers of its announcements to fn.
func (v *Verifier) announcements(ctx context.Context, name string, fn func([]service.Announcement) error) error {
	for cursor := ""; ; {
		var page []service.Announcement
		var next string
		err := v.ask(ctx, name, func(ctx context.Context) (err error) {
			page, next, err = v.Client.Announcements(ctx, name, cursor)
			return err
		})
		if err == nil && len(page) > 0 {
			err = fn(page)
		}
		if err != nil || next == "" {
			return err
		}
		cursor = next
	}
}

// wrongAnnouncements returns those of a page that nothing committed is behind, that say
// something else, or that have not left.
func (v *Verifier) wrongAnnouncements(ctx context.Context, name string, page []service.Announcement) (wrong []service.Announcement, err error) {
	if name == "catalog" {
		return v.wrongOfCatalog(ctx, page)
	}
	ids, subjects := make([]string, len(page)), make([]string, len(page))
	for i, a := range page {
		ids[i], subjects[i] = a.ID, a.Subject
	}
	known, err := v.book.tell(ctx, name, ids)
	if err != nil {
		return nil, err
	}
	truths, err := v.book.truths(ctx, service.LedgerOrder, subjects)
	if err != nil {
		return nil, err
	}
	for _, a := range page {
		o, found := known[a.ID]
		if found && !o.fits(a) || !found && !mayStandAlone(truths[a.Subject], a) {
			wrong = append(wrong, a)
		}
	}
	return wrong, nil
}

func (v *Verifier) wrongOfCatalog(ctx context.Context, page []service.Announcement) (wrong []service.Announcement, err error) {
	subjects := make([]string, len(page))
	for i, a := range page {
		subjects[i] = a.Subject
	}
	truths, err := v.book.truths(ctx, service.LedgerProduct, subjects)
	if err != nil {
		return nil, err
	}
	for _, a := range page {
		if a.Sequence > truths[a.Subject].Revision || a.Status != published {
			wrong = append(wrong, a)
		}
	}
	return wrong, v.book.write(ctx, func(tx tx) error {
		for _, a := range page {
			tx.Queue(`INSERT INTO said (subject, sequence) VALUES ($1, $2) ON CONFLICT DO NOTHING`, a.Subject, a.Sequence)
		}
		return nil
	})
}

// published is the status of what has left.
const published = "published"

// fits reports whether an announcement has left as it was to be.
func (o owed) fits(a service.Announcement) bool {
	return a.Status == published && a.Type == o.typ && a.Subject == o.subject && (o.sequence == anySequence || o.sequence == a.Sequence)
}

// mayStandAlone reports whether an announcement of packing or dispatch has to be
// on no stream: nothing is recorded of it, or it came too late to change anything.
func mayStandAlone(t truth, a service.Announcement) bool {
	switch a.Type {
	case rejectedV1:
		return a.Status == published && (t.has(cancelled) || t.has(dispatched))
	case returnedV1:
		return a.Status == published && t.has(dispatched)
	default:
		return false
	}
}

// lookForGaps suspects the products of which the catalog has not announced every
// change since the first that it remembers.
func (v *Verifier) lookForGaps(ctx context.Context, since time.Time, s *suspicion) error {
	return v.book.each(ctx, service.LedgerProduct, func(products []truth) error {
		for _, t := range products {
			said, err := v.book.saidOf(ctx, t.Subject)
			if err != nil {
				return err
			}
			for _, sequence := range gaps(t, said, since) {
				if s.room(time.UnixMicro(t.ChangedAt)) {
					s.unannounced = append(s.unannounced, owed{publisher: "catalog", subject: t.Subject, sequence: sequence, at: t.ChangedAt})
				}
			}
		}
		return nil
	})
}

// gaps are the changes of a product that are missing between the first that was
// announced and the last that there is. When not even the last is remembered, it
// is missing unless it is from before since.
func gaps(t truth, said []int64, since time.Time) []int64 {
	if len(said) == 0 {
		if t.ChangedAt < since.UnixMicro() {
			return nil
		}
		return []int64{t.Revision}
	}
	var missing []int64
	for sequence := said[0]; sequence <= t.Revision; sequence++ {
		if _, found := slices.BinarySearch(said, sequence); !found {
			missing = append(missing, sequence)
		}
	}
	return missing
}

// saidOf lists the sequences of what the catalog has announced of a product.
func (b *book) saidOf(ctx context.Context, sku string) ([]int64, error) {
	rows, err := b.db.Query(ctx, `SELECT sequence FROM said WHERE subject = $1 ORDER BY sequence`, sku)
	if err != nil {
		return nil, fmt.Errorf("temporary database: %w", err)
	}
	return sqldb.Collect(rows, func(row sqldb.Row) (n int64, err error) { return n, row.Scan(&n) })
}

// judgeAnnouncements looks again at what a service has announced, and tells what
// is still wrong.
func (v *Verifier) judgeAnnouncements(ctx context.Context, name string, s *suspicion) error {
	for _, a := range s.announcements {
		d, wrong, err := v.announcedNow(ctx, name, a)
		if err != nil {
			return err
		}
		v.tellUnlessYoung(d, wrong, a.At)
	}
	for _, o := range s.unannounced {
		times, err := v.timesAnnounced(ctx, name, o)
		if err != nil {
			return err
		}
		d := Difference{Service: name, Problem: Unannounced, Kind: kindOf(name), Subject: o.subject, Field: o.typ + " " + o.id}
		if name == "catalog" {
			d.Field = "sequence " + strconv.FormatInt(o.sequence, 10)
		}
		if times > 1 {
			d = d.with(Double, d.Field, strconv.Itoa(times), "1")
		}
		v.tellUnlessYoung(d, times != 1, time.UnixMicro(o.at))
	}
	return nil
}

func (v *Verifier) tellUnlessYoung(d Difference, wrong bool, at time.Time) {
	switch {
	case !wrong:
	case v.young(at):
		v.report.Unjudged++
	default:
		v.found = append(v.found, d)
	}
}

// kindOf is what the announcements of a service are about.
func kindOf(name string) string {
	switch name {
	case "catalog":
		return service.LedgerProduct
	case "customer":
		return service.LedgerCustomer
	default:
		return service.LedgerOrder
	}
}

// timesAnnounced is how often something that is owed has been announced by now.
func (v *Verifier) timesAnnounced(ctx context.Context, name string, o owed) (times int, err error) {
	all, err := v.announcedOf(ctx, name, o.subject)
	for _, a := range all {
		if a.Status == published && (a.ID == o.id || name == "catalog" && a.Sequence == o.sequence) {
			times++
		}
	}
	return times, err
}

// announcedOf lists what a service has announced about a subject by now. Products
// have no trace, and are few: all that the catalog has announced is read.
func (v *Verifier) announcedOf(ctx context.Context, name, subject string) (found []service.Announcement, err error) {
	if name == "catalog" {
		err := v.announcements(ctx, name, func(page []service.Announcement) error {
			for _, a := range page {
				if a.Subject == subject {
					found = append(found, a)
				}
			}
			return nil
		})
		return found, err
	}
	err = v.ask(ctx, name, func(ctx context.Context) error {
		trace, err := v.Client.Trace(ctx, name, subject)
		found = nil
		for _, item := range trace {
			found = append(found, service.Announcement{ID: item.ID, Status: item.Kind})
		}
		return err
	})
	return found, err
}

// announcedNow looks again at an announcement: at what is committed by now, and at
// whether it has left.
func (v *Verifier) announcedNow(ctx context.Context, name string, a service.Announcement) (d Difference, wrong bool, err error) {
	d = Difference{Service: name, Problem: Uncommitted, Kind: kindOf(name), Subject: a.Subject, Field: a.Type + " " + a.ID}
	t, err := v.truth(ctx, about{d.Kind, a.Subject})
	if err == nil && a.Status != published {
		a.Status, err = v.statusNow(ctx, name, a)
	}
	if err != nil {
		return d, false, err
	}
	committed, err := v.owedNow(ctx, d.Kind, a.Subject)
	if err != nil {
		return d, false, err
	}
	here := func(o owed) bool { return o.id == a.ID && o.publisher == name }
	at := slices.IndexFunc(committed.owed, here)
	switch {
	case name == "catalog" && a.Sequence > t.Revision:
		return d, true, nil
	case a.Status != published:
		return d.with(Unannounced, d.Field, "", ""), true, nil
	case name == "catalog", at < 0 && mayStandAlone(t, a):
		return d, false, nil
	case at < 0:
		d, wrong = uncaused(d, a, t, committed)
		return d, wrong, nil
	}
	should := committed.owed[at]
	switch {
	case should.fits(a):
		return d, false, nil
	case a.Type != should.typ:
		return d.with(Different, "type of "+a.ID, a.Type, should.typ), true, nil
	default:
		return d.with(Different, "sequence of "+d.Field, strconv.FormatInt(a.Sequence, 10), strconv.FormatInt(should.sequence, 10)), true, nil
	}
}

// statusNow is what has become of an announcement that had not left.
func (v *Verifier) statusNow(ctx context.Context, name string, a service.Announcement) (string, error) {
	all, err := v.announcedOf(ctx, name, a.Subject)
	for _, now := range all {
		if now.ID == a.ID {
			return now.Status, err
		}
	}
	return a.Status, err
}

// uncaused tells what is wrong with an announcement that nothing committed is
// behind under its id.
func uncaused(d Difference, a service.Announcement, t truth, committed ofSubject) (Difference, bool) {
	ofOthers := slices.Contains([]string{packedV1, rejectedV1, returnedV1, dispatchedV1}, a.Type)
	same := func(o owed) bool { return o.publisher == d.Service && o.typ == a.Type }
	switch {
	case slices.ContainsFunc(committed.owed, same) && (ofOthers || committed.ids[a.CausationID]):
		return d.with(Double, d.Field, "2", "1"), true
	case ofOthers && t.Revision >= 0:
		return d.with(Unrecorded, d.Field, "", ""), true
	default: // of a type that is not known here nothing is asked, but that it has a cause
		return d, !committed.ids[a.CausationID] && (t.Revision < 0 || d.Service == "order" || d.Service == "customer")
	}
}

// ofSubject is what the streams of a subject say about announcements.
type ofSubject struct {
	owed []owed
	ids  map[string]bool // of the committed events
}

// owedNow reads what has to be announced about a subject by now.
func (v *Verifier) owedNow(ctx context.Context, kind, subject string) (found ofSubject, err error) {
	found.ids = map[string]bool{}
	t := unseen(kind, subject)
	events, err := v.events(ctx, kind, subject)
	for _, r := range events {
		t, _ = t.after(r) // what cannot be read was told when the log was
		found.ids[r.ID.String()] = true
		found.owed = append(found.owed, owedFor(r, t.Rejected)...)
	}
	return found, err
}
