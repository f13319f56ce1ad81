// Package rabbitmq is the event bus on RabbitMQ 3.10 or later.
//
// # The promise on the way in
//
// Publish returns nil after the broker has confirmed every event, which for a
// quorum queue means that a majority of its nodes has written it to the disk.
// Where the outcome cannot be known (the connection is lost, a confirm does not
// come, the broker refuses) the events are sent again, with the same ids and in
// the same order, from the first one in doubt. Nothing is sent while the broker
// blocks publishers; callers wait as long as their context allows.
//
// # The promise on the way out
//
// A delivery is acknowledged after its handler returned nil, on the channel it
// came from and never on another: every session has connection and channels of
// its own, so an acknowledgement that comes too late is dropped and the event
// arrives again. A batch whose handler fails is held, not returned, and handed
// over again after a growing pause: this keeps the order, and it keeps a
// consumer whose database is down from running into the delivery limit.
//
// Of the instances of a service one is given deliveries (a single active
// consumer); the others stand by and take over when its connection or its
// subscription ends. Instances that took turns would interleave the events of
// a subject.
//
// # Topology of a namespace ns
//
//	ns.events (topic) ──patterns──> queue of each service ──(returned 100 times)──> <queue>.dead
//	   └─ nobody: ns.unrouted (fanout) ──> ns.unrouted
//	ns.commands (topic) ──patterns──> queue of each service
//	   └─ nobody: returned to the publisher, eventbus.ErrUnroutable
//
// All queues are durable quorum queues. In the namespace orderflow a queue is
// called exactly as the service is, in any other ns.<service>.
//
// AMQP cannot list the bindings of a queue, so what is bound is written down in
// a queue of its own, <queue>.bindings, before it is bound; a consumer that
// starts with fewer patterns reads there what it has to unbind.
//
// # Limits worth knowing
//
// A confirm is the broker's word. A single node of RabbitMQ 3.10 that is killed
// (not stopped) within seconds after a quorum queue was declared can lose that
// very queue; a cluster of three does not have this gap.
//
// A consumer that holds one batch for longer than the broker's acknowledgement
// timeout (30 minutes unless configured) loses its channel and gets the batch
// again; each such loss counts once towards the delivery limit. Two versions of
// a service that run side by side share one queue and its bindings: the one
// started last decides which patterns are bound.
package rabbitmq
