// Package faultproxy breaks the network between a client and a server, for tests.
//
// A [Proxy] listens on a port of its own and carries every connection to its
// target, until a test tells it to do worse: cut what is open, be away, be
// slow, lose everything in one direction while the connection looks alive, or
// break it after so many bytes, in the middle of whatever is on its way. The
// faults are those of toxiproxy, used as a library.
//
// A fault holds for connections that are open and for those made later, until
// [Proxy.Heal]. [Proxy.Cut] alone is a single blow. Data that a fault lost stays
// lost: healing breaks the connections from which something is missing.
package faultproxy
