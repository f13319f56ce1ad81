// Package embedded is the whole system in one process: the event store, the event bus and every service, on nothing but
// a folder.
//
// The services are the same ones that run as processes of their own, and are given what a process would be given: an
// environment. They share one event bus, and the event store is reached over its protocol as any other would be. They
// stop together when one of them cannot run, and the event store stops last.
//
// Settings, all of them optional:
//
//	EVENTSTORE_ADDR                    where the embedded event store listens, 127.0.0.1:2113
//	EVENTSTORE_URL                     another event store, instead of the embedded one
//	EVENTBUS_URL                       another event bus than the file bus.db in the folder
//	ORDER_ADDR, PACKING_ADDR, ...      where a service listens, 127.0.0.1:8080 to 8087; port 0 takes a free one
//	DATABASE_URL_ORDER, ...            another database of a service than its file in the folder
//	ORDER_URL, ...                     where the console looks for a service
//
// Everything else in the environment reaches every service as it is (LOG_LEVEL, SMTP_URL, ...).
package embedded
