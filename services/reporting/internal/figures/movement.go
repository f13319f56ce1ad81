package figures

import "orderflow/pkg/sqldb"

// figure names what is counted.
type figure string

// The figures. The first four count orders and their amounts by the UTC day they
// were placed on; those with all in front of them, over all days; the next two
// count orders by the class of a duration, and the last three just count.
const (
	placedOrders     figure = "placed"
	packedOrders     figure = "packed"
	dispatchedOrders figure = "dispatched"
	cancelledOrders  figure = "cancelled"

	all = "all-"

	toPack     figure = "to-pack"
	toDispatch figure = "to-dispatch"

	packingDelayed  figure = "packing-delayed"
	dispatchDelayed figure = "dispatch-delayed"
	returned        figure = "returned"
)

// place is where something is counted.
type place struct {
	figure   figure
	slot     int64
	currency string
}

// count is how much is counted there.
type count struct{ orders, amount int64 }

func (c count) plus(d count) count { return count{c.orders + d.orders, c.amount + d.amount} }

const microsPerDay = 24 * 60 * 60 * 1_000_000

// dayOf is the UTC day of a time, in days since 1970.
func dayOf(micros int64) int64 {
	day := micros / microsPerDay
	if micros%microsPerDay < 0 {
		day-- // rounding goes towards the past
	}
	return day
}

// counts is what an order counts for.
func (o order) counts() map[place]count {
	if o.placedAt == 0 {
		return nil
	}
	counts := map[place]count{{o.status(), dayOf(o.placedAt), o.currency}: {1, o.amount}}
	if o.packedAt > 0 {
		counts[place{toPack, classOf(o.packedAt - o.placedAt), ""}] = count{orders: 1}
	}
	if o.dispatchedAt > 0 {
		counts[place{toDispatch, classOf(o.dispatchedAt - o.placedAt), ""}] = count{orders: 1}
	}
	if o.packingDelayedAt > 0 {
		counts[place{packingDelayed, 0, ""}] = count{orders: 1}
	}
	if o.dispatchDelayedAt > 0 {
		counts[place{dispatchDelayed, 0, ""}] = count{orders: 1}
	}
	if o.returnedAt > 0 && o.dispatchedAt == 0 {
		counts[place{returned, 0, ""}] = count{orders: 1}
	}
	return counts
}

// move adds to moves the difference between what an order counted for before
// and after a fact.
func move(moves map[place]count, before, after order) {
	for at, was := range before.counts() {
		moves[at] = moves[at].plus(count{-was.orders, -was.amount})
	}
	for at, is := range after.counts() {
		moves[at] = moves[at].plus(is)
	}
}

// noteMovements queues the statements that note what has moved.
func noteMovements(tx sqldb.Tx, moves map[place]count) {
	const columns = 5
	var args []any
	for at, c := range moves {
		if c != (count{}) {
			args = append(args, string(at.figure), at.slot, at.currency, c.orders, c.amount)
		}
	}
	sqldb.QueueRows(tx, `INSERT INTO movement (figure, slot, currency, orders, amount)`, columns, args, "")
}
