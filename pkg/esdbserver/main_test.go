package esdbserver_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also serves the tests that have a server in a process of its own: the test binary then runs as that server.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDirVariable); dir != "" {
		os.Exit(runChild(dir))
	}
	goleak.VerifyTestMain(m)
}
