package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/deadletters"
	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

// Verifier compares. Its fields are set by whoever makes it; it is used once.
type Verifier struct {
	Client *client.Client
	Store  *es.Store
	// Lag is how long anything may take to arrive everywhere.
	Lag time.Duration
	// Most is how many subjects of one service are looked at a second time, and so
	// how many differences can be told; the others are counted.
	Most int
	// Tell hears what is being done, for people who wait.
	Tell func(string)

	book     *book
	position es.Position
	readAt   time.Time // when reading the log began
	found    []Difference
	report   Report
}

// Report is what came of comparing.
type Report struct {
	// Events is how many events of the log were read, Orders, Customers and
	// Products how many there are, and Announcements how many were looked at.
	Events        int `json:"events"`
	Orders        int `json:"orders"`
	Customers     int `json:"customers"`
	Products      int `json:"products"`
	Announcements int `json:"announcements"`
	// NotChecked are the services that do not answer, with the reason: nothing is
	// known of what they show and have announced.
	NotChecked map[string]string `json:"notChecked,omitempty"`
	// AnnouncedSince is from when on announcements were looked for: services do not
	// remember them for ever. One that was found is compared however old it is.
	AnnouncedSince time.Time `json:"announcedSince"`
	// Differences are what is not as it should be, by service.
	Differences []Difference `json:"differences"`
	// Unjudged counts subjects that looked different and were too young, or still
	// changing.
	Unjudged int `json:"unjudged"`
	// Further counts subjects that looked different once and were old enough, by
	// service, and were not looked at again because there are too many.
	Further map[string]int `json:"further,omitempty"`
}

// Fine reports whether everything that was looked at is as it should be.
func (r Report) Fine() bool { return len(r.Differences) == 0 && len(r.Further) == 0 }

// Whole reports whether everything was looked at.
func (r Report) Whole() bool { return len(r.NotChecked) == 0 }

// CannotLookError says that something has to answer before anything can be said.
type CannotLookError struct {
	Where string
	Err   error
}

// Error names what does not answer, and why.
func (e *CannotLookError) Error() string {
	return "cannot look at " + e.Where + ": " + e.reason()
}

func (e *CannotLookError) reason() string {
	if reason, unreachable := client.IsUnreachable(e.Err); unreachable {
		return "it does not answer: " + reason
	}
	return e.Err.Error()
}

// Unwrap returns the reason.
func (e *CannotLookError) Unwrap() error { return e.Err }

// Services are those that are asked, in the order of asking.
func Services() []string {
	return []string{"catalog", "customer", "order", "packing", "dispatch", "crm", "reporting"}
}

// Run compares everything. Services that do not answer are named in the report,
// which says nothing of them; without the event store there is nothing to compare
// with, and Run returns a [CannotLookError].
func (v *Verifier) Run(ctx context.Context) (report Report, err error) {
	if v.book, err = open(ctx); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, v.book.close()) }()
	v.report.AnnouncedSince = time.Now().Add(-remembered).UTC().Truncate(time.Second)
	if err := v.answers(ctx); err != nil {
		return report, err
	}
	v.Tell("reading the log")
	v.readAt = time.Now()
	if err := v.read(ctx); err != nil {
		return report, err
	}
	if err := v.unlessSilent(v.readProducts(ctx)); err != nil {
		return report, err
	}
	suspects := map[string]*suspicion{}
	for _, name := range Services() {
		if v.silent(name) {
			continue
		}
		v.Tell("comparing " + name)
		s, err := v.look(ctx, name)
		if err == nil {
			err = v.lookAtAnnouncements(ctx, name, s)
		}
		if err := v.unlessSilent(err); err != nil {
			return report, err
		}
		if !v.silent(name) {
			suspects[name] = s
		}
	}
	if err := v.lookAgain(ctx, suspects); err != nil {
		return report, err
	}
	if !v.silent("reporting") {
		v.Tell("adding up")
		if err := v.unlessSilent(v.addUp(ctx)); err != nil {
			return report, err
		}
	}
	if err := v.book.count(ctx); err != nil {
		return report, err
	}
	v.report.Orders, v.report.Customers, v.report.Products = v.book.orders, v.book.customers, v.book.products
	v.report.Differences = v.explained(ctx)
	return v.report, nil
}

// answers finds out who is there before the work begins.
func (v *Verifier) answers(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := v.Store.Ready(asking); err != nil {
		return &CannotLookError{Where: eventStore, Err: err}
	}
	for _, name := range Services() {
		err := v.ask(ctx, name, func(ctx context.Context) error {
			_, _, err := v.Client.LedgerPage(ctx, name, "", 1)
			return err
		})
		if err := v.unlessSilent(err); err != nil {
			return err
		}
	}
	return nil
}

// ask puts a question to a service. One that does not answer is asked again for as
// long as the lag: it may be starting again, which is no reason to say nothing.
func (v *Verifier) ask(ctx context.Context, name string, question func(context.Context) error) error {
	for until := time.Now().Add(v.Lag); ; {
		err := question(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !client.IsPassing(err) || time.Now().After(until):
			return &CannotLookError{Where: name, Err: err}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// unlessSilent returns err, unless it says that a service does not answer: that
// is taken down, and the others are looked at all the same.
func (v *Verifier) unlessSilent(err error) error {
	away, ok := errors.AsType[*CannotLookError](err)
	if !ok || away.Where == eventStore {
		return err
	}
	if v.report.NotChecked == nil {
		v.report.NotChecked = map[string]string{}
	}
	v.report.NotChecked[away.Where] = away.reason()
	return nil
}

// silent reports whether a service does not answer.
func (v *Verifier) silent(name string) bool {
	_, yes := v.report.NotChecked[name]
	return yes
}

// readProducts takes down what the catalog has: it is the source of that.
func (v *Verifier) readProducts(ctx context.Context) error {
	if v.silent("catalog") {
		return nil
	}
	return v.ledger(ctx, "catalog", func(rows []service.LedgerRow) error {
		products := make([]truth, len(rows))
		for i, row := range rows {
			products[i] = product(row)
		}
		return v.book.write(ctx, func(tx tx) error { return save(ctx, tx, products) })
	})
}

// product is what the catalog's row says.
func product(row service.LedgerRow) truth {
	t := unseen(service.LedgerProduct, row.Subject)
	t.Revision, t.ChangedAt = row.LastSequence, row.ChangedAt.UnixMicro()
	t.Names = row.Facts[service.FactName]
	_, _ = fmt.Sscan(row.Facts[service.FactPrice], &t.Amount, &t.Currency) // what cannot be read differs from what is shown elsewhere
	return t
}

// explained adds to differences the dead letters that may be their reason, or what
// else may mend them. Only letters about one of them are kept.
func (v *Verifier) explained(ctx context.Context) []Difference {
	differences := append([]Difference{}, v.found...) // [], never null
	about := map[string][]int{}
	for i := range differences {
		differences[i].Mend = differences[i].mend()
		about[differences[i].Subject] = append(about[differences[i].Subject], i)
	}
	for _, name := range Services() {
		if len(differences) == 0 || v.silent(name) {
			continue
		}
		// Who cannot be asked was asked before; what is missing then is a hint.
		_ = v.Client.DeadLetters(ctx, name, func(letter deadletters.Letter) {
			_, subject := letter.About()
			if len(about[subject]) == 0 { // of a relay, it is the name of a stream
				_, subject, _ = strings.Cut(subject, "-")
			}
			for _, i := range about[subject] {
				differences[i].blame(letter)
			}
		})
	}
	return differences
}

// blame takes a dead letter about the subject for the reason, if it may be: one in
// the service itself rather than another, and one that order cannot handle of
// anything, as that is on no stream.
func (d *Difference) blame(letter deadletters.Letter) {
	own := letter.Service == d.Service
	if !own && (d.Waits != "" || letter.Service != "order" && letter.Box == "inbox") {
		return
	}
	d.Waits = letter.Status + " in the " + letter.Box + " of " + letter.Service
	d.Mend = "orderflow deadletters redrive --service " + letter.Service + " " + letter.ID
}
