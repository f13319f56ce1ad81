package fulfilment

// State is where the process of an order stands.
type State string

// The states. The zero value is a process that has not begun.
const (
	StateNew                State = ""
	StatePacking            State = "packing"
	StatePackingLate        State = "packing-late"
	StatePackingExpired     State = "packing-expired"
	StateDispatching        State = "dispatching"
	StateDispatchingLate    State = "dispatching-late"
	StateDispatchingExpired State = "dispatching-expired"
	StateCancelled          State = "cancelled"
	StateReturning          State = "returning"
	StateReturned           State = "returned"
	StateDispatched         State = "dispatched"
)

// Trigger is something that a process hears.
type Trigger string

// The triggers: what the order's stream says, what packing says, and deadlines
// that have passed.
const (
	OrderPlaced     Trigger = "placed"
	OrderPacked     Trigger = "packed"
	OrderCancelled  Trigger = "cancelled"
	OrderDispatched Trigger = "dispatched"
	GoodsReturned   Trigger = "returned"
	PackOverdue     Trigger = "pack-overdue"
	PackExpired     Trigger = "pack-expired"
	DispatchOverdue Trigger = "dispatch-overdue"
	DispatchExpired Trigger = "dispatch-expired"
)

// Name is what an event of a process is called where it is stored. It never
// changes.
type Name string

// The events of a process. What follows from one is in the comment behind it.
const (
	Begun           Name = "fulfilment-begun"
	Packed          Name = "fulfilment-packed"
	Delayed         Name = "fulfilment-delayed"          // order.events.delayed.v1
	Expired         Name = "fulfilment-expired"          // the order is cancelled, unless it has moved on
	Cancelled       Name = "fulfilment-cancelled"        // nothing: nothing was packed, as far as known
	ReturnRequested Name = "fulfilment-return-requested" // packing.commands.return_to_stock.v1
	Returned        Name = "fulfilment-returned"
	Completed       Name = "fulfilment-completed"
)

// Step is a cell of the table: the state that follows, and the event that says
// so and has the commands as its consequence. The zero value changes nothing.
type Step struct {
	Next  State
	Event Name
}

// States lists the states, in the order in which an order meets them.
func States() []State {
	return []State{
		StateNew, StatePacking, StatePackingLate, StatePackingExpired, StateDispatching, StateDispatchingLate,
		StateDispatchingExpired, StateCancelled, StateReturning, StateReturned, StateDispatched,
	}
}

// Triggers lists the triggers: first what is heard of the order, then deadlines.
func Triggers() []Trigger {
	return []Trigger{
		OrderPlaced, OrderPacked, OrderCancelled, OrderDispatched, GoodsReturned,
		PackOverdue, PackExpired, DispatchOverdue, DispatchExpired,
	}
}

// table states every cell. Two rules make it safe to hear things late, twice and
// again after a restart: what the order's stream says is ignored in every state
// that follows from where it was heard or ignored, and dispatched is left by
// nothing.
func table() map[State]map[Trigger]Step {
	var (
		stay      = Step{}
		begin     = Step{StatePacking, Begun}
		packed    = Step{StateDispatching, Packed}
		cancelled = Step{StateCancelled, Cancelled}
		bringBack = Step{StateReturning, ReturnRequested}
		done      = Step{StateDispatched, Completed}
	)
	return map[State]map[Trigger]Step{
		// A stream of an order begins with order-placed. Where that cannot be read, nothing is known to wait for.
		StateNew: {
			OrderPlaced: begin, OrderPacked: stay, OrderCancelled: stay, OrderDispatched: stay, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
		StatePacking: {
			OrderPlaced: stay, OrderPacked: packed, OrderCancelled: cancelled, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: {StatePackingLate, Delayed}, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
		StatePackingLate: {
			OrderPlaced: stay, OrderPacked: packed, OrderCancelled: cancelled, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: {StatePackingExpired, Expired}, DispatchOverdue: stay, DispatchExpired: stay,
		},
		// The order has been asked to end. It does, unless it was packed before it was asked: then it goes on.
		StatePackingExpired: {
			OrderPlaced: stay, OrderPacked: packed, OrderCancelled: cancelled, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
		StateDispatching: {
			OrderPlaced: stay, OrderPacked: stay, OrderCancelled: bringBack, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: {StateDispatchingLate, Delayed}, DispatchExpired: stay,
		},
		StateDispatchingLate: {
			OrderPlaced: stay, OrderPacked: stay, OrderCancelled: bringBack, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: {StateDispatchingExpired, Expired},
		},
		StateDispatchingExpired: {
			OrderPlaced: stay, OrderPacked: stay, OrderCancelled: bringBack, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
		// It may have been packed while the cancellation was on its way.
		StateCancelled: {
			OrderPlaced: stay, OrderPacked: bringBack, OrderCancelled: stay, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
		StateReturning: {
			OrderPlaced: stay, OrderPacked: stay, OrderCancelled: stay, OrderDispatched: done, GoodsReturned: {StateReturned, Returned},
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
		// Packing may say so of a parcel that the carrier has taken at the same moment: the parcel is gone.
		StateReturned: {
			OrderPlaced: stay, OrderPacked: stay, OrderCancelled: stay, OrderDispatched: done, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
		StateDispatched: {
			OrderPlaced: stay, OrderPacked: stay, OrderCancelled: stay, OrderDispatched: stay, GoodsReturned: stay,
			PackOverdue: stay, PackExpired: stay, DispatchOverdue: stay, DispatchExpired: stay,
		},
	}
}

// DeadlineOf is the deadline that a state has; empty when it waits without one.
func DeadlineOf(s State) Trigger {
	switch s {
	case StatePacking:
		return PackOverdue
	case StatePackingLate:
		return PackExpired
	case StateDispatching:
		return DispatchOverdue
	case StateDispatchingLate:
		return DispatchExpired
	case StateNew, StatePackingExpired, StateDispatchingExpired, StateCancelled, StateReturning, StateReturned, StateDispatched:
	}
	return ""
}

// StageOf is the word that the others know for what a deadline waits for.
func StageOf(t Trigger) string {
	switch t {
	case PackOverdue, PackExpired:
		return "packing"
	case DispatchOverdue, DispatchExpired:
		return "dispatch"
	case OrderPlaced, OrderPacked, OrderCancelled, OrderDispatched, GoodsReturned:
	}
	return ""
}
