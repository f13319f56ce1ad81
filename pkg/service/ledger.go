package service

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"orderflow/pkg/sqldb"
)

// What a row of a read model can be about.
const (
	LedgerOrder    = "order"
	LedgerCustomer = "customer"
	LedgerProduct  = "product"
	LedgerMail     = "mail"     // to somebody about an order that the read model has no row of; the subject is the order's id
	LedgerDeadline = "deadline" // of the process of an order; the subject is the order's id
)

// LedgerRow says how far one row of a read model has come, and what it shows,
// for whoever compares it with what was committed. Nothing in it is personal.
type LedgerRow struct {
	// Kind is that of the row's [Ledger], which fills it in.
	Kind         string `json:"kind" enum:"order,customer,product,mail,deadline"`
	Subject      string `json:"subject"`
	LastSequence int64  `json:"lastSequence" doc:"sequence of the last event of the subject that the row shows; -1 where rows do not keep it"`
	Status       string `json:"status,omitempty" doc:"what the row's facts amount to, in the service's own words"`
	// Facts are what else the row shows, in the words below; a fact that is not
	// there has not happened.
	Facts     map[string]string `json:"facts,omitempty" doc:"what the row shows, by name"`
	ChangedAt time.Time         `json:"changedAt,omitzero" doc:"when the row was written, where rows keep it"`
}

// The names of facts. Those that end in At are times in RFC 3339, to the
// microsecond.
const (
	FactCustomer     = "customer"     // the customer's id
	FactTotal        = "total"        // see [MoneyFact]
	FactLines        = "lines"        // see [LinesFact]
	FactNames        = "names"        // the same by the names of the products
	FactPrice        = "price"        // see [MoneyFact]
	FactName         = "name"         // of a product
	FactPersonal     = "personal"     // see [PersonalFact]
	FactMails        = "mails"        // how many of each kind, as in "order-confirmation 1, order-packed 1"
	FactPlacedAt     = "placedAt"     // when the order was placed
	FactPackedAt     = "packedAt"     // when it was packed
	FactDispatchedAt = "dispatchedAt" // when it left
	FactCancelledAt  = "cancelledAt"  // when it was cancelled
	FactReturnedAt   = "returnedAt"   // when what was packed in vain was put back
	FactDueAt        = "dueAt"        // when a deadline passes

	FactPackingDelayedAt  = "packingDelayedAt"  // when it was found that packing is late
	FactDispatchDelayedAt = "dispatchDelayedAt" // when it was found that dispatch is late
)

// LedgerQuery selects rows of a read model by subject: those behind Subject, or,
// when Exactly is set, those of Subject alone.
type LedgerQuery struct {
	Subject string
	Exactly bool
	// Limit is the most rows that are wanted.
	Limit int
}

// Where is the condition in SQL, with Subject as $1. column is the caller's,
// never a client's.
func (q LedgerQuery) Where(column string) string {
	if q.Exactly {
		return column + " = $1"
	}
	return column + " > $1"
}

// Rows reads rows of a ledger with a statement that ends in the limit: its
// placeholders are q's Subject, $1, and Limit, $2.
func (q LedgerQuery) Rows(
	ctx context.Context, db sqldb.Querier, statement string, scan func(sqldb.Row) (LedgerRow, error),
) ([]LedgerRow, error) {
	rows, err := db.Query(ctx, statement, q.Subject, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	ledger, err := sqldb.Collect(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return ledger, nil
}

// Ledger is the part of a read model that is about one kind of subject.
type Ledger struct {
	// Kind is [LedgerOrder], [LedgerCustomer], [LedgerProduct], [LedgerMail] or [LedgerDeadline].
	Kind string
	// Read returns the rows that a query selects, ordered by subject as the
	// database compares texts.
	Read func(ctx context.Context, q LedgerQuery) ([]LedgerRow, error)
}

type ledgerInput struct {
	PageQuery
	Subject string `query:"subject" maxLength:"500" doc:"only the rows of this subject"`
}

type ledgerOutput struct{ Body Page[LedgerRow] }

// ServeLedger adds GET /ledger: how far every row of the service's read model
// has come and what it shows, ledger by ledger in the order given, by subject in
// each. Should a subject have two rows of a kind, both are on one page.
func (s *Service) ServeLedger(ledgers ...Ledger) {
	Get(s, "/ledger", "How far each row has come and what it shows, for reconciliation", func(ctx context.Context, in *ledgerInput) (*ledgerOutput, error) {
		if in.Subject != "" {
			page, err := ledgerOf(ctx, ledgers, in.Subject, in.Limit)
			return &ledgerOutput{page}, err
		}
		page, err := ledgerPage(ctx, ledgers, in.PageQuery)
		return &ledgerOutput{page}, err
	})
}

// ledgerOf reads the rows of one subject, of every kind.
func ledgerOf(ctx context.Context, ledgers []Ledger, subject string, limit int) (Page[LedgerRow], error) {
	page := Page[LedgerRow]{Items: []LedgerRow{}}
	if strings.ContainsRune(subject, 0) || !utf8.ValidString(subject) { // PostgreSQL's text cannot hold it
		return page, nil
	}
	for _, ledger := range ledgers {
		rows, err := ledger.read(ctx, LedgerQuery{Subject: subject, Exactly: true, Limit: limit})
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, rows...)
	}
	return page, nil
}

// ledgerPage reads a page that may span several ledgers. The cursor names the
// ledger it goes on in, and the last subject before.
func ledgerPage(ctx context.Context, ledgers []Ledger, query PageQuery) (Page[LedgerRow], error) {
	page := Page[LedgerRow]{Items: []LedgerRow{}}
	which, after := 0, ""
	goesOn, err := query.Key(&which, &after)
	if err != nil {
		return page, err
	}
	if goesOn && (which < 0 || which >= len(ledgers)) {
		return page, badCursor()
	}
	for ; which < len(ledgers); which, after = which+1, "" {
		room := query.Limit - len(page.Items)
		rows, err := ledgers[which].read(ctx, LedgerQuery{Subject: after, Limit: room + 1})
		if err != nil {
			return page, err
		}
		if len(rows) <= room {
			page.Items = append(page.Items, rows...)
			continue
		}
		if room == 0 { // the page is full, and there is another
			page.NextCursor = Cursor(which, after)
			return page, nil
		}
		if rows[room].Subject != rows[room-1].Subject { // else the next page would begin behind both
			rows = rows[:room]
		}
		page.Items = append(page.Items, rows...)
		page.NextCursor = Cursor(which, rows[room-1].Subject)
		return page, nil
	}
	return page, nil
}

func (l Ledger) read(ctx context.Context, q LedgerQuery) ([]LedgerRow, error) {
	rows, err := l.Read(ctx, q)
	for i := range rows {
		rows[i].Kind = l.Kind
	}
	return rows, err
}
