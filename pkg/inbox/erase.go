package inbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// Erase removes what the inbox keeps of a subject's events, as part of tx: for
// the handler of the event that says that somebody is to be forgotten. Parked
// events of the subject, and malformed ones that mention it, are discarded:
// their data is gone, and they are known should they come again. Reasons, which
// may quote events, are emptied. What is kept of an event otherwise (ids, types,
// times) stays, for [Inbox.Trace].
//
// From then on no event of the subject is parked: when its attempts are
// exhausted it is discarded. Until then it is held like any other, and handled,
// so handlers must themselves keep nothing of somebody who is forgotten. What is
// held when the event arrives is in its way only for one more attempt, if
// [Options.Forgotten] names its type.
//
// The deleted bytes are made unreadable after the commit, by [Inbox.Scrub].
func (in *Inbox) Erase(tx sqldb.Tx, subject string) {
	tx.Queue(`INSERT INTO inbox_erased (consumer, subject, sweeps, due_at) VALUES ($1, $2, 0, $3)
		ON CONFLICT (consumer, subject) DO UPDATE SET sweeps = 0, due_at = excluded.due_at`,
		in.consumer, subject, sqldb.Micros(time.Now()))
	tx.Queue(`UPDATE inbox SET reason = '' WHERE consumer = $1 AND subject = $2 AND reason <> ''`, in.consumer, subject)
	in.discardParked(tx, `(h.subject = $2 OR h.malformed AND `+in.dialect.mentions(`$2`)+`)`, subject)
	tx.AfterCommit(in.wakeScrub)
}

// discardErased discards those of the subject's parked events that must not be
// kept.
func (in *Inbox) discardErased(tx sqldb.Tx, subject string) {
	const erased = `EXISTS (SELECT 1 FROM inbox_erased e WHERE e.consumer = h.consumer AND `
	in.discardParked(tx, `h.subject = $2 AND `+erased+`(e.subject = h.subject OR h.malformed AND `+in.dialect.mentions(`e.subject`)+`))`, subject)
	in.disturbed(tx, []string{subject})
}

// hurry leaves one more attempt, at once, to each event that is held before the
// one that says that their subject is forgotten.
func (in *Inbox) hurry(tx sqldb.Tx, forgotten eventbus.Event) {
	tx.Queue(`UPDATE inbox_held SET attempts = $4, due_at = 0 WHERE consumer = $1 AND subject = $2 AND status = 'held' AND attempts <= $4
		AND seq < (SELECT seq FROM inbox_held WHERE consumer = $1 AND id = $3 AND source = $5)`,
		in.consumer, forgotten.Subject, forgotten.ID, in.options.MaxAttempts-1, forgotten.Source)
}

// eraseReason empties the reason that was just noted about an event, which may
// quote it, if the subject is erased already.
func (in *Inbox) eraseReason(tx sqldb.Tx, e eventbus.Event) {
	tx.Queue(`UPDATE inbox SET reason = '' WHERE consumer = $1 AND id = $2 AND source = $3
		AND EXISTS (SELECT 1 FROM inbox_erased WHERE consumer = $1 AND subject = $4)`, in.consumer, e.ID, e.Source, e.Subject)
	in.disturbed(tx, []string{e.Subject})
}

func (in *Inbox) discardParked(tx sqldb.Tx, which, subject string) {
	tx.Queue(`INSERT INTO inbox (`+inboxColumns+`)
		SELECT consumer, id, source, type, subject, sequence, correlation_id, causation_id, time, received_at,
			COALESCE(parked_at, received_at), attempts, '`+outcomeDiscarded+`', ''
		FROM inbox_held h WHERE h.consumer = $1 AND h.status = 'parked' AND `+which+`
		ON CONFLICT (consumer, id, source) DO NOTHING`, in.consumer, subject)
	tx.Queue(`DELETE FROM inbox_held AS h WHERE h.consumer = $1 AND h.status = 'parked' AND `+which, in.consumer, subject)
}

// disturbed has the deleted bytes made unreadable once more, for subjects that
// are erased: something of them has passed through here again.
func (in *Inbox) disturbed(tx sqldb.Tx, subjects []string) {
	for _, subject := range subjects {
		tx.Queue(`UPDATE inbox_erased SET sweeps = 0, due_at = $3 WHERE consumer = $1 AND subject = $2`,
			in.consumer, subject, sqldb.Micros(time.Now()))
	}
}

// IsPersonal reports whether events of a type tell of somebody who may be
// forgotten ([Options.Personal]).
func (in *Inbox) IsPersonal(typ string) bool {
	return in.options.Personal != "" && strings.HasPrefix(typ, in.options.Personal)
}

// personal lists the subjects of items that tell of somebody.
func (in *Inbox) personal(items []item) []string {
	var told []item
	for _, it := range items {
		if in.IsPersonal(it.event.Type) {
			told = append(told, it)
		}
	}
	return subjects(told)
}

// scrubAfter are the pauses before each time that deleted bytes are made
// unreadable: at once; when the bus has surely removed what was acknowledged
// around that time; and when a publisher that was paused has woken up.
var scrubAfter = [...]time.Duration{0, 5 * time.Second, 10 * time.Minute}

// scrubPoll is how often another process's work is noticed.
const scrubPoll = time.Second

// scrubRest is for how many times as long as scrubbing took it rests then: on
// SQLite nobody writes meanwhile, and many may be forgotten one after the other.
const scrubRest = 4

// Scrub makes the bytes of what was erased unreadable ([sqldb.DB.Scrub]) until
// ctx ends (nil), or something does not work (an error; call it again). also is
// called each time, for whatever else the events have gone through; it may be
// nil. It is done at once after [Inbox.Erase], and again some seconds and some
// minutes later; and so once more whenever an event that tells of somebody who
// is forgotten ([Options.Personal]) is handled late. Of the time, it takes a fifth
// at most, however many are forgotten.
func (in *Inbox) Scrub(ctx context.Context, also func(context.Context) error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-in.scrubs:
		case <-timer.C:
		}
		began := time.Now()
		scrubbed, err := in.scrubDue(ctx, also)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("scrub after erasing from inbox %s: %w", in.consumer, err)
		}
		if scrubbed {
			in.pause(ctx, scrubRest*time.Since(began), false)
		}
		timer.Reset(scrubPoll)
	}
}

type erased struct {
	subject     string
	sweeps, due int64
}

func (in *Inbox) scrubDue(ctx context.Context, also func(context.Context) error) (scrubbed bool, err error) {
	rows, err := in.db.Query(ctx, `SELECT subject, sweeps, due_at FROM inbox_erased
		WHERE consumer = $1 AND due_at > 0 AND due_at <= $2`, in.consumer, sqldb.Micros(time.Now()))
	if err != nil {
		return false, err
	}
	due, err := sqldb.Collect(rows, func(r sqldb.Row) (e erased, err error) { return e, r.Scan(&e.subject, &e.sweeps, &e.due) })
	if err != nil || len(due) == 0 {
		return false, err
	}
	if err := in.db.Scrub(ctx); err != nil {
		return false, err
	}
	if also != nil {
		if err := also(ctx); err != nil {
			return false, err
		}
	}
	return true, in.db.Update(ctx, func(tx sqldb.Tx) error {
		for _, e := range due {
			next := int64(0)
			if done := int(e.sweeps) + 1; done < len(scrubAfter) {
				next = sqldb.Micros(time.Now().Add(scrubAfter[done]))
			}
			// One that was disturbed meanwhile stays due.
			tx.Queue(`UPDATE inbox_erased SET sweeps = sweeps + 1, due_at = $4 WHERE consumer = $1 AND subject = $2 AND due_at = $3`,
				in.consumer, e.subject, e.due, next)
		}
		return nil
	})
}

// wakeScrub never blocks: one token stands for any number of erased subjects.
func (in *Inbox) wakeScrub() {
	select {
	case in.scrubs <- struct{}{}:
	default:
	}
}
