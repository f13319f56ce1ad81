package fulfilment_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
)

// BenchmarkCatchingUp measures how fast a manager gets through a log of orders
// that were placed and packed while it was away: two events of each order, two
// steps of its process, and two rows.
func BenchmarkCatchingUp(b *testing.B) {
	for name, open := range map[string]func(testing.TB) sqldb.DB{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			const orders = 2000
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, open(b))
				var placing errgroup.Group
				placing.SetLimit(64)
				for range orders {
					placing.Go(func() error { return w.placeAndPack() })
				}
				if err := placing.Wait(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				stop := w.run(b)
				sqldbtest.Eventually(b, "all are waited for", func() bool {
					return sqldbtest.Count(b, w.db, `SELECT count(*) FROM fulfilment_deadline WHERE kind = 'dispatch-overdue'`) == orders
				})
				b.StopTimer()
				stop()
				b.StartTimer()
			}
			b.ReportMetric(orders*float64(b.N)/b.Elapsed().Seconds(), "orders/s")
		})
	}
}

func (w *world) placeAndPack() error {
	ctx, id := context.Background(), uuid.New()
	for _, decide := range []func(domain.Order) ([]domain.Event, error){
		func(o domain.Order) ([]domain.Event, error) {
			return o.Place(customer, []domain.Line{{SKU: "mug", Name: "Mug", Quantity: 1, UnitPrice: domain.Money{Amount: 1, Currency: "EUR"}}}, noon)
		}, pack,
	} {
		if _, _, err := w.orders.Update(ctx, id, cause.FromContext(ctx), es.Precondition{}, decide); err != nil {
			return err
		}
	}
	return nil
}
