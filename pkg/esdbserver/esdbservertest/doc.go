// Package esdbservertest starts an event store for a test and takes it down again.
//
//	store := esdbservertest.New(t)
//	client := store.Client(t)
//
// The store answers on a port of its own on the loopback interface, with the code that also runs in production. It keeps
// its events in memory unless InDir gives it a directory. Its clock is real until the test sets it. Stop and Start play a
// restart: the port stays the same, and so do the events of a store that has a directory.
package esdbservertest
