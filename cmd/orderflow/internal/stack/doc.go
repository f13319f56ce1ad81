// Package stack starts and stops the system on one of two sets of servers: containers, where Docker answers, or one
// process of ours with everything embedded, which needs nothing.
//
// Starting returns only when every service says that it is ready, or with the reason why one does not. A system that
// could not be started is stopped again, so that trying once more finds nothing in its way.
package stack
