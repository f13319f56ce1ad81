// Package eventbus moves integration events between services and loses none.
//
// The promise. When [Publisher.Publish] returns nil, every event it was given
// is stored durably by the bus and will reach the queue of every service whose
// patterns match its type, whether that service runs at the moment or not. A
// delivery leaves its queue only after the handler returned nil. So every event
// arrives at least once; a consumer that must have an effect once keeps an
// inbox (package inbox).
//
// What a bus does not promise. An event can arrive twice, and after a failure
// events can arrive in another order than they were published. Within one
// subject the order of publishing is kept as long as nothing fails.
//
// Two implementations pass the same suite (package eventbustest): rabbitmq, for
// production, and sqlitebus, which needs nothing but a file.
package eventbus
