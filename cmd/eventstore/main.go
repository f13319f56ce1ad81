// Command eventstore runs the embedded event store as a server of its own: a single node that speaks the EventStoreDB
// gRPC protocol, without authentication, for development and for machines on which the real server cannot be had.
//
//	eventstore --listen 127.0.0.1:2113 --data ./data
//
// It prints one line with the connection string when it is ready. SIGINT or SIGTERM stops it; what it acknowledged is
// kept also when it is killed. Without --data it forgets everything when it stops.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
