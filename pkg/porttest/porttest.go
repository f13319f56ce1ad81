// Package porttest finds ports for servers that a test starts as processes of
// their own, and that must find them free again whenever they are restarted.
//
// A port that was free a moment ago can be gone for two reasons. The system gives
// it to an outgoing connection: so these lie below the range from which it takes
// those. Or another test looks for ports at the same moment, perhaps in another
// process: so they come in blocks, whose lowest port is listened on for as long
// as the block is somebody's. The system takes that back when a process dies.
//
// A server in the process of the test itself does better to listen on port 0.
package porttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// The ports lie from lowest up to below highest; systems take those of outgoing
// connections from 32768 or 49152 on. A block begins with the port that guards it.
const (
	lowest, highest = 12_000, 30_000
	block           = 16
)

// Most is how many ports can be had in a row.
const Most = block - 1

// For reserves n ports of the loopback interface, 1 to [Most], in a row, until
// the test ends, and returns the first. Safe for concurrent use.
func For(t testing.TB, n int) (first int) {
	t.Helper()
	first, release, err := Reserve(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	return first
}

// Reserve is [For] where there is no test to end: until release is called.
func Reserve(n int) (first int, release func() error, err error) {
	if n < 1 || n > Most {
		return 0, nil, fmt.Errorf("reserve %d ports: there are 1 to %d in a row", n, Most)
	}
	const blocks = (highest - lowest) / block
	for _, which := range rand.Perm(blocks) {
		guarded := lowest + which*block
		guard, err := listen(guarded)
		if err != nil {
			continue
		}
		if areFree(guarded+1, n) {
			return guarded + 1, guard.Close, nil
		}
		if err := guard.Close(); err != nil {
			return 0, nil, fmt.Errorf("let go of port %d: %w", guarded, err)
		}
	}
	return 0, nil, errors.New("reserve ports: none are free")
}

func areFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		listener, err := listen(port)
		if err != nil || listener.Close() != nil {
			return false
		}
	}
	return true
}

func listen(port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}
