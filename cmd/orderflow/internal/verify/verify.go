package verify

import (
	"context"
	"errors"
	"fmt"
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
	// Differences are what is not as it should be, by service.
	Differences []Difference `json:"differences"`
	// Unjudged counts subjects that looked different and were too young, or still
	// changing.
	Unjudged int `json:"unjudged"`
	// Further counts subjects that looked different once and were old enough, by
	// service, and were not looked at again because there are too many.
	Further map[string]int `json:"further,omitempty"`
}

// Fine reports whether everything is as it should be.
func (r Report) Fine() bool { return len(r.Differences) == 0 && len(r.Further) == 0 }

// CannotLookError says that something has to answer before anything can be said.
type CannotLookError struct {
	Where string
	Err   error
}

// Error names what does not answer, and why.
func (e *CannotLookError) Error() string {
	if reason, unreachable := client.IsUnreachable(e.Err); unreachable {
		return fmt.Sprintf("cannot look: %s does not answer: %s", e.Where, reason)
	}
	return fmt.Sprintf("cannot look at %s: %v", e.Where, e.Err)
}

// Unwrap returns the reason.
func (e *CannotLookError) Unwrap() error { return e.Err }

// Services are those that are asked, in the order of asking.
func Services() []string {
	return []string{"catalog", "customer", "order", "packing", "dispatch", "crm", "reporting"}
}

// Run compares everything. It returns a [CannotLookError] when not all could be
// asked: a report about half of a system would look like one about all of it.
func (v *Verifier) Run(ctx context.Context) (report Report, err error) {
	if v.book, err = open(ctx); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, v.book.close()) }()
	if err := v.answers(ctx); err != nil {
		return report, err
	}
	v.Tell("reading the log")
	v.readAt = time.Now()
	if err := v.read(ctx); err != nil {
		return report, err
	}
	if err := v.readProducts(ctx); err != nil {
		return report, err
	}
	suspects := map[string]*suspicion{}
	for _, name := range Services() {
		v.Tell("comparing " + name)
		if suspects[name], err = v.look(ctx, name); err != nil {
			return report, err
		}
		if err := v.lookAtAnnouncements(ctx, name, suspects[name]); err != nil {
			return report, err
		}
	}
	if err := v.lookForUnannounced(ctx, suspects); err != nil {
		return report, err
	}
	if err := v.lookAgain(ctx, suspects); err != nil {
		return report, err
	}
	v.Tell("adding up")
	if err := v.addUp(ctx); err != nil {
		return report, err
	}
	if err := v.book.count(ctx); err != nil {
		return report, err
	}
	v.report.Orders, v.report.Customers, v.report.Products = v.book.orders, v.book.customers, v.book.products
	v.report.Differences = v.explained(ctx)
	return v.report, nil
}

// answers makes sure that everybody is there before the work begins.
func (v *Verifier) answers(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := v.Store.Ready(asking); err != nil {
		return &CannotLookError{Where: "the event store", Err: err}
	}
	for _, name := range Services() {
		if _, _, err := v.Client.LedgerPage(ctx, name, "", 1); err != nil {
			return &CannotLookError{Where: name, Err: err}
		}
	}
	return nil
}

// readProducts takes down what the catalog has: it is the source of that.
func (v *Verifier) readProducts(ctx context.Context) error {
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
	_, _ = fmt.Sscan(row.Facts[service.FactPrice], &t.Amount, &t.Currency) // what cannot be read differs from what is shown elsewhere
	return t
}

// explained adds to differences the dead letters that may be their reason.
func (v *Verifier) explained(ctx context.Context) []Difference {
	differences := append([]Difference{}, v.found...) // [], never null
	if len(differences) == 0 {
		return differences
	}
	// Who cannot be asked was asked before; what is missing then is a hint.
	letters, _ := deadletters.Desk{Client: v.Client, Services: Services()}.All(ctx, deadletters.Filter{})
	for i := range differences {
		d := &differences[i]
		for _, letter := range letters {
			if _, subject := letter.About(); (letter.Service == d.Service || letter.Box != "inbox") && endsWith(subject, d.Subject) {
				d.Waits = letter.Status + " in the " + letter.Box + " of " + letter.Service
				d.Mend = "orderflow deadletters redrive " + letter.ID
			}
		}
	}
	return differences
}
