// Package eventbus moves integration events between services and loses none.
//
// # The promise
//
// When [Publisher.Publish] returns nil, every event it was given is stored
// durably by the bus and will reach the queue of every service whose patterns
// match its type, whether that service runs at the moment or not. A delivery
// leaves its queue only after the handler returned nil. So every event arrives at
// least once; a consumer that must have an effect once keeps an inbox (package
// inbox), and recognises what it has by [Event.ID].
//
// # Events and commands
//
// An event, <service>.events.<name>.v<N>, tells what has happened. Any number of
// services may hear it, and none is also right: it is then kept in the queue
// [Unrouted], counted, until [Redrive] publishes it again. A queue that is
// declared later therefore misses nothing.
//
// A command, <service>.commands.<name>.v<N>, asks a service to do something. A
// command nobody listens for is a mistake that the sender must hear about:
// Publish returns [ErrUnroutable], naming it.
//
// # History
//
// [Sender] puts events into one queue and no other: history that one consumer is
// told again (package replay). They come under the ids of then and are marked,
// [Event.Replayed], for a consumer that must do something only when it is news.
//
// # Order
//
// Within one subject events arrive in the order in which they were published, by
// one call or by calls that followed one another, as long as nothing fails. A
// handler that fails gets the same batch again, so that keeps the order, too. A
// lost connection, or a consumer that closes with deliveries on their way, can
// break it on a broker, and repeat events on every bus. [Event.Sequence] then
// tells what is older. Between subjects there is no order to rely on.
//
// # When things go wrong
//
//   - Publish returned an error, or never returned: the outcome is unknown.
//     Publish again with the same ids.
//   - The bus is away: Publish waits for as long as its context allows,
//     consumers come back by themselves, for ever, and Ready says why not.
//   - The handler returns an error or panics: the batch is kept and handed over
//     again after a growing pause, up to 15 s. [Subscription.Ready] says so. An
//     error means that the consumer cannot work at the moment; an event that can
//     never be handled is for the handler to set aside.
//   - The message is no valid envelope: it arrives with [Delivery.Malformed] set.
//   - A message ends its consumer's process again and again: after about 100
//     lost consumers it is in the queue <name>.dead ([DeadSuffix]), which can be
//     counted with Depth and subscribed to without patterns.
//
// # Which bus
//
// Two implementations pass the same suite (package eventbustest): rabbitmq, for
// production, and sqlitebus, which needs nothing but a file. Services of one
// process share one through package share.
package eventbus
