// Package rabbitmq is the event bus on RabbitMQ 3.10 or later.
//
// # The promise on the way in
//
// Publish returns nil after the broker has confirmed every event, which for a
// quorum queue means that a majority of its nodes has written it to the disk.
// What is in doubt (the connection is lost, a confirm does not come, the broker
// refuses) is sent again with the same id, and nothing else is. An event that
// the broker does not take keeps back the later ones of its subject in the same
// call, and no others; the call goes on until its context ends. Nothing is sent
// while the broker blocks publishers; callers wait as long as their context
// allows.
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
// A message that ends its consumer's process again and again becomes a dead
// letter in <queue>.dead, which can be subscribed to. One that has come back
// three times is taken one by one, so that what was on its way with it does not
// share its count.
//
// # Order
//
// Events of one call, and of calls that follow one another, arrive as they were
// published. Of the instances of a service one is given deliveries (a single
// active consumer); the others stand by and take over when its connection or its
// subscription ends. Instances that took turns would interleave the events of a
// subject. After a failure events can arrive in another order: after a refusal by
// the broker, and when a consumer that has only a part of what came back from the
// one before (it takes one by one, or has a smaller BatchSize) is lost itself,
// since a quorum queue puts that part behind the rest. A consumer that takes one
// by one may be closed; the order is kept unless its handler fails and another
// instance stands by.
//
// # What can go wrong
//
//	connection lost           everything in doubt is sent again; consumers start over; pauses grow to 5 s, without an end
//	broker stopped or killed  the same; Ready says no until it is back
//	silent network            given up after ConfirmTimeout, or after three heartbeats
//	memory or disk alarm      publishing waits and Ready says no; acknowledging goes on, on a connection of its own
//	a queue is full           its events are refused and tried again, every 5 s in the end; other queues get a duplicate each time
//	a queue does not answer   others wait once, up to ConfirmTimeout; its events wait until it answers (below)
//	a queue was deleted       its consumers declare and bind it again; what came meanwhile is in ns.unrouted
//	                          (RabbitMQ 3.10 closes the connection of who publishes to it in that moment, with a 541)
//	a queue with other        Subscribe returns the broker's 406 with the queue's name: remove the queue once, or
//	arguments exists          keep the version that declared it
//	a handler takes longer    the broker's acknowledgement timeout, 30 minutes unless configured, closes the channel; the
//	than the broker waits     batch comes again, Ready says so, and each such loss counts once towards the delivery limit
//
// A node has room for a limited number of queues. Each quorum queue keeps file
// handles reserved, so one that is allowed 1,024 open files stops answering
// somewhere near 300 of them (seen with 3.10), handshakes and rabbitmqctl
// included, with nothing in its log. A service needs three; give a node that
// serves many systems more files.
//
// A confirm is the broker's word. A single node of RabbitMQ 3.10 that is killed
// (not stopped) within seconds after a quorum queue was declared can lose that
// very queue; a cluster of three does not have this gap. Two versions of a
// service that run side by side share one queue and its bindings: the one
// started last decides which patterns are bound.
//
// A queue that does not answer, as a quorum queue that has lost its leader, is
// more than its own events' trouble. With some thirty of them on their way
// RabbitMQ 3.10 stops reading from their connection, and with one where it is the
// first of its channel; so whatever is published through the same connection
// waits too. After ConfirmTimeout without any confirm the bus connects anew, and
// from then on keeps events with the routing keys that had no answer off the
// connection that all share: one of each key at a time is tried on a connection
// of its own, and when it is answered, the key is like any other again. While few
// are on their way, the broker goes on confirming others, nothing is reconnected,
// and after ConfirmTimeout the same is done about the key. Other queues that get
// events with such a key wait for them as well, but for those tried.
//
// # Tuning
//
// A call with many events is the fastest way to publish; a few hundred callers
// that each wait for their own event come close, as all share one window of
// 1,024 unconfirmed publishes, which also bounds the memory. A consumer has two
// batches in advance; a larger [eventbus.Queue] BatchSize pays off when the
// handler writes a batch in one statement. A shorter Heartbeat gives up a silent
// peer, and lets a standing-by instance take over, sooner; below five seconds
// busy machines are taken for dead ones.
//
// # Topology of a namespace ns
//
//	ns.events (topic) ──patterns──> queue of each service ──(returned 100 times)──> <queue>.dead
//	   └─ nobody: ns.unrouted (fanout) ──> ns.unrouted
//	ns.commands (topic) ──patterns──> queue of each service
//	   └─ nobody: returned to the publisher, eventbus.ErrUnroutable
//
// In the namespace orderflow a queue is called exactly as the service is, in any
// other ns.<service>. AMQP cannot list the bindings of a queue, so what is bound
// is written down in a queue of its own, <queue>.bindings, before it is bound; a
// consumer that starts with fewer patterns reads there what it has to unbind.
//
// # What is configured on the broker
//
// Declared with the queues, because nothing may be lost where nobody has
// configured anything: durable, x-queue-type quorum; for a service's queue
// x-single-active-consumer, x-delivery-limit 100 (Config.DeliveryLimit),
// dead-lettering to <queue>.dead by x-dead-letter-strategy at-least-once, and
// x-overflow reject-publish. The dead letters have a delivery limit that is never
// reached.
//
// Left to the operator of a cluster are policies, deploy/rabbitmq-policies.json,
// applied by
//
//	rabbitmqctl import_definitions deploy/rabbitmq-policies.json
//
// They repeat the delivery limit (of policy and declaration the smaller one
// holds) and limit lengths: 2 GiB for a service's queue, 1 GiB for unrouted
// events and for dead letters. At the limit a queue refuses and drops nothing:
// publishers of its events wait, relays and outboxes keep what they have, and
// the dead letter stays in the queue it came from. Readiness does not show it;
// the depth of the queue and unknown outcomes do.
//
// A quorum queue gets three members where there are three nodes. For more, from
// RabbitMQ 3.13 on, the operator policy target-group-size applies on top of
// these policies; older brokers grow queues by rabbitmq-queues grow.
package rabbitmq
