package figures

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestDurationIsInItsClass(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		millis := rapid.Int64Range(0, 1<<45).Draw(r, "millis")
		from, to := boundsOf(classOf(millis*1000 + rapid.Int64Range(0, 999).Draw(r, "micros")))
		if millis < from || millis >= to {
			r.Errorf("%d is not in [%d, %d)", millis, from, to)
		}
		if width := to - from; width > 1 && width*perDouble > from {
			r.Errorf("[%d, %d) is wider than a 64th", from, to)
		}
	})
}

func TestClassesFollowEachOtherWithoutAGap(t *testing.T) {
	end := int64(0)
	for class := range int64(2000) {
		from, to := boundsOf(class)
		if from != end || to <= from {
			t.Fatalf("class %d is [%d, %d), after one that ends at %d", class, from, to, end)
		}
		end = to
	}
	if got := classOf(-5_000_000); got != 0 {
		t.Errorf("a negative duration is in class %d", got)
	}
}

// TestPercentilesAreExact compares with the definition, for few and for many
// durations, of which many fall into one class.
func TestPercentilesAreExact(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db)
		for _, longest := range []int64{3, 200, 5_000, 100_000_000} {
			for _, n := range []int{1, 2, 19, 20, 21, 100} {
				w.empty(t)
				var events []eventbus.Event
				var durations []int64
				for i := range n {
					millis := (int64(i)*7919 + 13) * 104729 % longest
					durations = append(durations, millis)
					events = append(events, placedAt(i, noon, 1, "EUR"), packedAt(i, noon.Add(time.Duration(millis)*time.Millisecond)))
				}
				w.deliver(t, events...)
				if diff := cmp.Diff(nearestRank(durations), w.summary(t).TimeToPack); diff != "" {
					t.Errorf("%d durations up to %d ms: %s", n, longest, diff)
				}
			}
		}
	})
}

// fill makes a store of so many orders, each packed and dispatched after a
// while, on so many days.
func fill(t testing.TB, w *world, orders, days int) {
	t.Helper()
	err := w.db.Update(context.Background(), func(tx sqldb.Tx) error {
		for i := range orders {
			now := order{
				placedAt: noon.AddDate(0, 0, -(i % days)).UnixMicro(), amount: 900, currency: []string{"EUR", "USD", "JPY"}[i%3],
			}
			now.packedAt = now.placedAt + (int64(i)*7919%7_200_000)*1000
			now.dispatchedAt = now.packedAt + (int64(i)*104729%86_400_000)*1000
			_, err := tx.Exec(context.Background(), `INSERT INTO order_fact (order_id, placed_at, packed_at, dispatched_at, cancelled_at, amount, currency,
				order_sequence, correlation_id, written_at) VALUES ($1, $2, $3, $4, 0, $5, $6, 0, '', 0)`,
				fmt.Sprintf("order-%d", i), now.placedAt, now.packedAt, now.dispatchedAt, now.amount, now.currency)
			if err != nil {
				return err
			}
			moves := map[place]count{}
			move(moves, order{}, now)
			noteMovements(tx, moves)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.addUp(t)
}

// BenchmarkSummary measures what asking for the figures costs.
func BenchmarkSummary(b *testing.B) {
	for _, orders := range []int{1_000, 100_000} {
		for name, open := range map[string]func(testing.TB) sqldb.DB{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.Postgres} {
			b.Run(fmt.Sprintf("%s/%d", name, orders), func(b *testing.B) {
				w := newWorld(b, open(b))
				fill(b, w, orders, 400)
				w.deliver(b, placedAt(1, noon, 900, "EUR"))
				for b.Loop() {
					w.summary(b)
				}
			})
		}
	}
}

// BenchmarkEvents measures what taking in an event costs, in batches of 100.
func BenchmarkEvents(b *testing.B) {
	for name, open := range map[string]func(testing.TB) sqldb.DB{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, open(b))
			i, events := 0, 0
			for b.Loop() {
				var batch []eventbus.Event
				for range 50 {
					batch = append(batch, placedAt(i, noon, 900, "EUR"), packedAt(i, noon.Add(time.Minute)))
					i++
				}
				w.deliver(b, batch...)
				events += len(batch)
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
