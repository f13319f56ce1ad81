package esdbservertest

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver"
)

// faults are what the test wants to go wrong. They stand in the way of calls as interceptors; the store itself knows
// nothing of them.
type faults struct {
	connections connections

	calls   gates // before a call is looked at
	appends gates // when an append has arrived
	events  gates // before an event is delivered to a subscription

	mu            sync.Mutex
	spared        string // calls that come to this address are left alone
	unavailable   int    // how often it was asked for and not released yet
	failures      []Failure
	subscriptions map[*subscription]struct{}
}

// spare leaves the calls alone that come to an address of the store.
func (f *faults) spare(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spared = addr
}

// concern reports whether a call is one of the code under test.
func (f *faults) concern(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	caller, ok := peer.FromContext(ctx)
	return !ok || caller.LocalAddr == nil || caller.LocalAddr.String() != f.spared
}

// under puts them in front of a store, behind the interceptors that the test has itself.
func (f *faults) under(config esdbserver.Config) esdbserver.Config {
	config.GRPC = append(slices.Clip(config.GRPC), grpc.ChainUnaryInterceptor(f.unary), grpc.ChainStreamInterceptor(f.stream))
	return config
}

// Unavailable makes the store refuse every call with UNAVAILABLE until it is released, and ends the subscriptions that
// run. The port still answers; Stop closes that too. Beware that the official client tries for about a second to find a
// server that will have it, and then is closed for good.
func (s *Server) Unavailable() (release func()) {
	s.faults.mu.Lock()
	s.faults.unavailable++
	s.faults.mu.Unlock()
	s.DropSubscriptions()
	return sync.OnceFunc(func() {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		s.faults.unavailable--
	})
}

// DropSubscriptions ends the subscriptions that run now, persistent ones included, with UNAVAILABLE, and returns how many
// they were. Subscribing again works. A subscriber is told behind what was sent to it before.
func (s *Server) DropSubscriptions() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for subscription := range s.faults.subscriptions {
		subscription.drop(errDropped)
	}
	return len(s.faults.subscriptions)
}

// CutConnections breaks every connection at once, as a network does. What runs on them fails with UNAVAILABLE; new
// connections work.
func (s *Server) CutConnections() { s.faults.connections.cut(func(string) bool { return true }) }

// FailAppends makes the next appends fail, one after the other as they come in, each in its own way:
//
//	store.FailAppends(esdbservertest.TimedOut(), esdbservertest.AnswerLost())
//
// After these, appends work again. Writing metadata is appending; deleting is not.
func (s *Server) FailAppends(next ...Failure) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.failures = append(s.faults.failures, next...)
}

// HoldAppends lets appends arrive and wait there, nothing written yet, until they are released:
//
//	held := store.HoldAppends()
//	go place(order)
//	held.Await(t, 1) // it has decided and is about to write
//	held.Release()
func (s *Server) HoldAppends() *Hold { return s.faults.appends.add(0) }

// HoldEvents keeps events from subscriptions, persistent ones included, until they are released. Each subscription waits
// with one event.
func (s *Server) HoldEvents() *Hold { return s.faults.events.add(0) }

// SlowCalls makes every call wait for d before anything else happens, in real time, until it is released.
func (s *Server) SlowCalls(d time.Duration) (release func()) { return s.faults.calls.add(d).Release }

// SlowEvents makes every event for a subscription, persistent ones included, wait for d before it is delivered, in real
// time, until it is released.
func (s *Server) SlowEvents(d time.Duration) (release func()) { return s.faults.events.add(d).Release }

var (
	errDropped     = status.Error(codes.Unavailable, "subscription dropped: the test wants it")
	errUnavailable = status.Error(codes.Unavailable, "store unavailable: the test wants it")
)

// nextFailure takes the next one from the list.
func (f *faults) nextFailure() (Failure, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.failures) == 0 {
		return Failure{}, false
	}
	next := f.failures[0]
	f.failures = slices.Delete(f.failures, 0, 1)
	return next, true
}
