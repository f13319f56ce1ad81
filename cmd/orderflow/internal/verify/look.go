package verify

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

type tx = sqldb.Tx

// suspicion is what looked wrong about one service, to be looked at again.
type suspicion struct {
	most int
	// settled is when the log was read, less the lag: what is younger may well
	// have been on its way, and there may be any number of it on a busy system.
	settled time.Time
	// subjects are those whose rows differ, announcements those that are wrong, and
	// unannounced what was to be announced and was not, or not once.
	subjects      map[about]bool
	announcements []service.Announcement
	unannounced   []owed
	// old and young count what is to be looked at again; further and unjudged
	// what there was beyond most of each.
	old, young, further, unjudged int
}

// about is what a row is about.
type about struct{ kind, subject string }

// room reports whether there is room for another suspect that changed at a time,
// and counts it either way.
func (s *suspicion) room(changedAt time.Time) bool {
	counted, beyond := &s.old, &s.further
	if !changedAt.Before(s.settled) {
		counted, beyond = &s.young, &s.unjudged
	}
	if *counted >= s.most {
		*beyond++
		return false
	}
	*counted++
	return true
}

func (s *suspicion) add(key about, changedAt time.Time) {
	if !s.subjects[key] && s.room(changedAt) {
		s.subjects[key] = true
	}
}

func (s *suspicion) empty() bool { return s.old+s.young == 0 }

// newest is when the latest of what was committed and its rows changed.
func newest(t truth, rows []service.LedgerRow) time.Time {
	at := time.UnixMicro(max(t.ChangedAt, 0))
	for _, row := range rows {
		if row.ChangedAt.After(at) {
			at = row.ChangedAt
		}
	}
	return at
}

// ledger hands the rows of a service to fn, page by page.
func (v *Verifier) ledger(ctx context.Context, name string, fn func([]service.LedgerRow) error) error {
	for cursor := ""; ; {
		var rows []service.LedgerRow
		var next string
		err := v.ask(ctx, name, func(ctx context.Context) (err error) {
			rows, next, err = v.Client.LedgerPage(ctx, name, cursor, 100)
			return err
		})
		if err == nil && len(rows) > 0 {
			err = fn(rows)
		}
		if err != nil || next == "" {
			return err
		}
		cursor = next
	}
}

// look compares the rows of a service with what was committed.
func (v *Verifier) look(ctx context.Context, name string) (*suspicion, error) {
	s := &suspicion{most: v.Most, settled: v.readAt.Add(-v.Lag), subjects: map[about]bool{}}
	kinds := v.comparable(name)
	if len(kinds) == 0 {
		return s, nil
	}
	if err := v.book.forget(ctx); err != nil {
		return nil, err
	}
	err := v.ledger(ctx, name, func(rows []service.LedgerRow) error {
		for kind, of := range bySubject(rows) {
			if !slices.Contains(kinds, kind) {
				continue
			}
			truths, err := v.book.truths(ctx, kind, slices.Collect(keys(of)))
			if err != nil {
				return err
			}
			for subject, rows := range of {
				if len(compare(name, truths[subject], rows)) > 0 {
					s.add(about{kind, subject}, newest(truths[subject], rows))
				}
			}
		}
		return v.book.show(ctx, rows)
	})
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		err := v.book.notShown(ctx, kind, func(truths []truth) error {
			for _, t := range truths {
				if len(compare(name, t, nil)) > 0 {
					s.add(about{kind, t.Subject}, newest(t, nil))
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// comparable lists the kinds of rows that a service has and something is known of:
// of products, only what the catalog says is.
func (v *Verifier) comparable(name string) []string {
	kinds := slices.Clone(shows(name))
	if v.silent("catalog") {
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == service.LedgerProduct })
	}
	return kinds
}

// bySubject sorts rows by what they are about.
func bySubject(rows []service.LedgerRow) map[string]map[string][]service.LedgerRow {
	sorted := map[string]map[string][]service.LedgerRow{}
	for _, row := range rows {
		if sorted[row.Kind] == nil {
			sorted[row.Kind] = map[string][]service.LedgerRow{}
		}
		sorted[row.Kind][row.Subject] = append(sorted[row.Kind][row.Subject], row)
	}
	return sorted
}

// lookAgain waits until what looked wrong is older than the lag, and tells what
// still is.
func (v *Verifier) lookAgain(ctx context.Context, suspects map[string]*suspicion) error {
	if !slices.ContainsFunc(slices.Collect(maps.Values(suspects)), func(s *suspicion) bool { return !s.empty() }) {
		return nil
	}
	v.Tell("looking again at what differs, in " + v.Lag.String())
	if err := sleep(ctx, v.Lag); err != nil {
		return err
	}
	for _, name := range Services() {
		if suspects[name] == nil {
			continue
		}
		if err := v.unlessSilent(v.judgeAll(ctx, name, suspects[name])); err != nil {
			return err
		}
	}
	return nil
}

// judgeAll tells what is still wrong with one service.
func (v *Verifier) judgeAll(ctx context.Context, name string, s *suspicion) error {
	v.report.Unjudged += s.unjudged
	v.further(name, s.further)
	for _, key := range sortedSubjects(s.subjects) {
		if err := v.judge(ctx, name, key); err != nil {
			return err
		}
	}
	return v.judgeAnnouncements(ctx, name, s)
}

func sortedSubjects(subjects map[about]bool) []about {
	list := make([]about, 0, len(subjects))
	for key := range subjects {
		list = append(list, key)
	}
	slices.SortFunc(list, func(a, b about) int { return strings.Compare(a.kind+" "+a.subject, b.kind+" "+b.subject) })
	return list
}

// judge tells how one subject differs now, if it is old enough to say.
func (v *Verifier) judge(ctx context.Context, name string, key about) error {
	before, err := v.truth(ctx, key)
	if err != nil {
		return err
	}
	rows, err := v.rowsOf(ctx, name, key.subject)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r service.LedgerRow) bool { return r.Kind != key.kind })
	differences := compare(name, before, rows)
	if len(differences) == 0 {
		return nil // it had been on its way
	}
	after, err := v.truth(ctx, key)
	if err != nil {
		return err
	}
	if after.Revision != before.Revision || after.Process.Revision != before.Process.Revision || v.young(newest(after, rows)) {
		v.report.Unjudged++
		return nil
	}
	v.found = append(v.found, differences...)
	return nil
}

// young reports whether something is younger than the lag.
func (v *Verifier) young(at time.Time) bool { return time.Since(at) < v.Lag }

// truth is what was committed about a subject by now.
func (v *Verifier) truth(ctx context.Context, key about) (truth, error) {
	if key.kind != service.LedgerProduct {
		return v.committedTo(ctx, key.kind, key.subject)
	}
	rows, err := v.rowsOf(ctx, "catalog", key.subject)
	if err != nil || len(rows) == 0 {
		return unseen(key.kind, key.subject), err
	}
	return product(rows[0]), nil
}

// rowsOf reads the rows that a service has of a subject, of every kind.
func (v *Verifier) rowsOf(ctx context.Context, name, subject string) (rows []service.LedgerRow, err error) {
	err = v.ask(ctx, name, func(ctx context.Context) (err error) {
		rows, err = v.Client.LedgerOf(ctx, name, subject)
		return err
	})
	return rows, err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// further counts what is not looked into.
func (v *Verifier) further(name string, n int) {
	if n == 0 {
		return
	}
	if v.report.Further == nil {
		v.report.Further = map[string]int{}
	}
	v.report.Further[name] += n
}
