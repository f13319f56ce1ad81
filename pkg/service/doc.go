// Package service is what every service of the system needs the same way: it
// starts, says whether it works, answers over HTTP, and stops.
//
// The promise. A service starts whatever is missing around it: it listens at
// once, /livez says that the process runs, and /readyz says no, and why, until
// its database, its bus and its loops work, and again whenever one of them does
// not. Every loop is started again after an error or a panic, with growing
// pauses, for as long as the process runs. A setting that can never work ends
// the process with one line that names the variable.
//
// A service is put together in one function that reads top to bottom:
//
//	func Run(ctx context.Context, host service.Host) error {
//		svc, err := service.New("packing", "127.0.0.1:8083", host)
//		if err != nil {
//			return err
//		}
//		db, bus := svc.Database(), svc.Bus(ctx)
//		if err := svc.Refused(); err != nil {
//			return err
//		}
//		...
//		return svc.Run(ctx)
//	}
//
// Errors of settings are collected and returned by Refused, so that the function
// stays a list of parts.
//
// # Projections
//
// Reads of what a service shows of others' events are added with [Read]: they
// take a position to wait for, ?after=TOKEN&wait=2s, and say in Orderflow-Behind
// how far they may be behind. Commands answer with the header Orderflow-Position.
//
// # Metrics
//
// Every service shows these at /metrics, as far as it has the part that they are
// about, besides those of the Go runtime and the process. All are of the process
// that shows them, except where something is counted in the database or at the
// broker: that is the service's, whichever instance is asked.
//
//	orderflow_service_info                  1, with the service's name as label
//	orderflow_http_request_duration_seconds histogram by method, route and status; without streams
//
//	orderflow_bus_published_total           events stored durably by the bus
//	orderflow_bus_confirm_seconds           histogram: from sending an event to the bus's confirm
//	orderflow_bus_in_flight                 events of publishes that have not returned yet
//	orderflow_bus_unknown_outcomes_total    publishes sent again because nobody knew how they ended
//	orderflow_bus_unroutable_total          commands that no queue took
//	orderflow_bus_unrouted                  events nobody had subscribed to, kept aside; of the whole system
//	orderflow_bus_blocked                   1 while the broker refuses to take events
//	orderflow_bus_blocked_seconds_total     how long it has done so since the start of the process
//	orderflow_bus_reconnects_total          connections made after the first
//	orderflow_bus_delivered_total           deliveries handed out, repetitions included
//	orderflow_bus_redelivered_total         those that may have been handed out before
//	orderflow_bus_malformed_total           those that were no valid envelope
//	orderflow_bus_acknowledged_total        those removed from their queue
//	orderflow_bus_handler_failures_total    batches whose handler failed: the consumer could not work
//	orderflow_bus_handler_seconds           histogram: one attempt of the handler at a batch
//	orderflow_bus_lag_seconds               histogram: age of an event when it was acknowledged, held ones included
//	orderflow_queue_depth                   events waiting in the service's queue
//	orderflow_queue_dead_depth              events the broker has given up on, not parked yet
//
//	orderflow_inbox_reads                   1 for each type of event that the service subscribes to
//	orderflow_inbox_handled_total           events whose effect committed
//	orderflow_inbox_handler_seconds         histogram: one call of a handler, failed ones included
//	orderflow_inbox_lag_seconds             histogram: from the event's own time to the commit of its effect
//	orderflow_inbox_attempts                histogram: attempts that a handled event took
//	orderflow_inbox_duplicates_total        events that came again
//	orderflow_inbox_unknown_total           events without a handler
//	orderflow_inbox_failed_total            attempts that failed
//	orderflow_inbox_held_total              events put aside
//	orderflow_inbox_parked_total            events left to a person
//	orderflow_inbox_dead_total              those among them that the broker had given up on
//	orderflow_inbox_held                    events that wait for another attempt, or behind one that does
//	orderflow_inbox_held_age_seconds        how long the oldest of them has waited
//	orderflow_inbox_parked                  events that wait for a person
//
//	orderflow_outbox_sent_total             events passed on to the bus
//	orderflow_outbox_failures_total         attempts to read, publish or mark that did not work
//	orderflow_outbox_pending                events that wait to be passed on
//	orderflow_outbox_pending_age_seconds    how long the oldest of them has waited
//	orderflow_outbox_parked_total           events the bus refused
//	orderflow_outbox_parked                 those that wait for a person
//	orderflow_outbox_streaming              1 while PostgreSQL streams the outbox to this process (OUTBOX=cdc)
//	orderflow_outbox_slot_kept_bytes        log that PostgreSQL keeps for the outbox's slot, as the active publisher saw it
//
//	orderflow_relay_published_total         integration events confirmed by the bus
//	orderflow_relay_parked_total            committed events that could not be announced
//	orderflow_relay_parked                  those that wait for a person
//	orderflow_relay_lag_positions           positions of the event store's log that are not announced yet
//	orderflow_relay_stalled_seconds         how long the relay has been behind without getting any further
//	orderflow_relay_active                  1 in the process that publishes, 0 in those that stand by
//
// Labels have a bounded number of values: routes and methods that the service
// has, never what a caller makes up. deploy/alerts.yml has rules for what needs a
// person.
package service
