// Command eventstore runs the embedded event store as a server of its own: a single node that speaks the EventStoreDB
// gRPC protocol, for development and for machines on which the real server cannot be had.
//
//	eventstore --listen 127.0.0.1:2113 --data ./data
//	eventstore --listen 0.0.0.0:2113 --data ./data --tls-cert cert.pem --tls-key key.pem
//
// The first is insecure, as the original server is with --insecure: everything is sent in the clear, and whoever reaches
// the port may do everything. With a certificate the server is secure: connections are encrypted, and callers need the
// name and password of a user. There are admin and ops; the passwords that they get in a new data directory are best
// given in EVENTSTORE_DEFAULT_ADMIN_PASSWORD and EVENTSTORE_DEFAULT_OPS_PASSWORD. Later starts leave passwords alone,
// unless --reset-passwords is given.
//
// It prints one line with the connection string when it is ready; the credentials are not in it, nor how to trust the
// certificate (tlsCAFile). SIGINT or SIGTERM stops it; what it acknowledged is kept also when it is killed. Without
// --data it forgets everything when it stops.
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
