package eventbus

import (
	"context"
	"errors"
)

// ErrUnroutable says that a command has no service listening for it. Events
// without a listener are no error: the bus keeps them aside, counted, in the
// queue [Unrouted].
var ErrUnroutable = errors.New("no queue takes this command")

// ErrMalformed is for a handler to return that has handled its batch but for the
// malformed deliveries in it, which nobody will ever be able to handle: the bus
// moves those to the queue's dead letters (see [DeadSuffix]), acknowledges the
// others, and goes on. From the handler of a queue of dead letters, which has
// none of its own, it is an error like any other.
var ErrMalformed = errors.New("malformed deliveries are left to a person")

// ErrClosed is returned by every call on a closed bus or subscription.
var ErrClosed = errors.New("event bus closed")

// Unrouted is the durable queue (below the bus's namespace) that keeps the
// events nobody had subscribed to when they were published.
const Unrouted = "unrouted"

// Publisher stores events with the bus.
type Publisher interface {
	// Publish stores the events, in the order given, and returns nil once the
	// bus has all of them durably. On any error the outcome of each event is
	// unknown: publish all of them again, with the same ids; consumers
	// recognise the ones they have.
	//
	// An event that is invalid ([ErrInvalidEvent]) refuses the call before
	// anything is published; a command nobody listens for makes it return
	// [ErrUnroutable].
	//
	// Publish waits out lost connections for as long as ctx allows; giving a call
	// up harms no other. Safe for concurrent use; order is kept within one call, and between calls that
	// follow one another. The events and their data must not be changed after
	// they were handed over.
	Publish(ctx context.Context, events ...Event) error
}

// ErrNoQueue says that there is no queue of that name.
var ErrNoQueue = errors.New("no such queue")

// Sender reaches one queue alone, past every other: for history that one
// consumer is told again.
type Sender interface {
	// Send stores the events in the queue, in the order given, whatever its
	// patterns are, and returns nil once the bus has all of them durably. They are
	// delivered as [Event.Replayed]. On any error the outcome of each event is
	// unknown: send all of them again, with the same ids. [ErrNoQueue] says that
	// the queue is not there (any more); what an event is refused for, waiting,
	// order and concurrency are as with [Publisher.Publish].
	Send(ctx context.Context, queue string, events ...Event) error
	// Patterns returns what a queue takes, sorted; or [ErrNoQueue]. It may be
	// more than it takes now: what an earlier version of its service has
	// wanted. Nil means that the bus does not know.
	Patterns(ctx context.Context, queue string) ([]string, error)
}

// Queue is the durable queue of one consuming service.
type Queue struct {
	// Name identifies the queue; every instance of a service uses the same.
	Name string
	// Patterns select events by type, as AMQP topics do: words are separated
	// by dots, * stands for one word, # for any number of them.
	Patterns []string
	// BatchSize is the most deliveries given to the handler at once; 0 means
	// 100, and more than 1,000 is refused. A batch is what is there: the bus
	// never waits to fill one.
	BatchSize int
}

// Delivery is one event on its way to a handler.
type Delivery struct {
	Event Event
	// Redelivered says that the event may have been handed out before.
	Redelivered bool
	// Malformed is set when the message is not a valid envelope. Event then
	// holds whatever could be read, the body in Data, and an ID derived from
	// the body, so that it can be set aside for a person to look at.
	Malformed error
}

// Handler takes a batch of one or more deliveries, oldest first. When it
// returns nil all of them are acknowledged; when it returns an error, or
// panics, none is: the bus pauses for a growing delay and delivers them again.
// Trouble with a single event is therefore the handler's to settle (package
// inbox does); an error means that this consumer cannot work at the moment.
//
// Batches of one subscription are handed over one after the other.
// ctx ends when the subscription must stop.
type Handler func(ctx context.Context, batch []Delivery) error

// Subscriber hands out events.
type Subscriber interface {
	// Subscribe declares the queue durably, binds its patterns (and unbinds
	// patterns it had before and does not have now), and delivers to h until
	// the subscription or the bus is closed, across any number of lost
	// connections. ctx bounds the declaration only.
	Subscribe(ctx context.Context, q Queue, h Handler) (Subscription, error)
}

// Subscription is one running consumer.
type Subscription interface {
	// Ready returns nil while the consumer is taking deliveries, or stands by
	// for another instance that does, otherwise why not. A handler that fails is
	// a reason.
	Ready() error
	// Close stops taking deliveries and waits for the running handler; when ctx
	// ends first, the handler's context is cancelled and what it had is
	// delivered again later. The queue stays and keeps collecting. A handler
	// must not close its own subscription: it would wait for itself.
	Close(ctx context.Context) error
	// Unsubscribe closes and removes the queue with everything in it. Another
	// instance that still consumes the queue declares it again, empty. A queue
	// that the bus fills itself is emptied.
	Unsubscribe(ctx context.Context) error
}

// Bus is a connection to an event bus.
type Bus interface {
	Publisher
	Subscriber
	Sender
	// Ready returns nil while the bus can take and hand out events, otherwise why not.
	Ready() error
	// Depth counts the events waiting in a queue, without those being handled
	// at the moment. A queue that does not exist is an error ([ErrNoQueue]).
	Depth(ctx context.Context, queue string) (int, error)
	// Erase removes from a queue the messages that theirs selects, of those that
	// wait in it when it begins, and returns how many. It is meant for queues that
	// nobody consumes, [Unrouted] and what was set aside there, when somebody is
	// to be forgotten of whom they hold events: what somebody else has taken at the
	// moment is not looked at. What is not selected stays, whatever ends the
	// process; on a broker its order may change, and some of it may be there twice
	// then, with the same ids. A queue that does not exist holds nothing.
	Erase(ctx context.Context, queue string, theirs func(Delivery) bool) (int, error)
	// Scrub makes the bytes of messages that have left their queues unreadable for
	// somebody who has the bus's files, as far as a client can. A broker's files
	// are out of reach: there it does nothing.
	Scrub(ctx context.Context) error
	// Close ends every subscription, waits for outstanding publishes, and
	// releases the connection; ctx bounds the waiting.
	Close(ctx context.Context) error
}
