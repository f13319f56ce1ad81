package fulfilment

import (
	"context"
	"time"

	"orderflow/pkg/es"
)

// HeardOf gives tests what an event of an order means to its process.
var HeardOf = heardOf

// Take gives tests the handling of one batch.
func (m *Manager) Take(ctx context.Context, epoch int64, log es.Batch) error {
	m.unwritten.empty()
	if err := m.take(ctx, epoch, log); err != nil {
		return err
	}
	return m.write(ctx, epoch)
}

// PassDeadlines gives tests the handling of the deadlines that have passed.
func (m *Manager) PassDeadlines(ctx context.Context, epoch int64, now time.Time) error {
	return m.passDeadlines(ctx, epoch, now)
}

// Table gives tests the table itself.
var Table = table

// EventNames gives tests the events that can be stored.
func EventNames() []Name {
	names := make([]Name, len(schemas))
	for i, s := range schemas {
		names[i] = Name(s.Type)
	}
	return names
}
