package service

import "context"

// LedgerRow says how far one row of a read model has come.
type LedgerRow struct {
	Subject      string `json:"subject"`
	LastSequence int64  `json:"lastSequence" doc:"sequence of the last event of the subject that the row shows"`
}

type ledgerInput struct{ PageQuery }

type ledgerOutput struct{ Body Page[LedgerRow] }

// ServeLedger adds GET /ledger: subject and last sequence of every row of the
// service's read model, by subject. read returns up to limit rows whose subject
// is greater than after.
func (s *Service) ServeLedger(read func(ctx context.Context, after string, limit int) ([]LedgerRow, error)) {
	Get(s, "/ledger", "How far each row has come, for reconciliation", func(ctx context.Context, in *ledgerInput) (*ledgerOutput, error) {
		var after string
		if _, err := in.Key(&after); err != nil {
			return nil, err
		}
		rows, err := read(ctx, after, in.Limit+1)
		if err != nil {
			return nil, err
		}
		return &ledgerOutput{PageOf(rows, in.Limit, func(r LedgerRow) []any { return []any{r.Subject} })}, nil
	})
}
