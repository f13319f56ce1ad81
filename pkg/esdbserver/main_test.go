package esdbserver_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also serves the test that kills its own server: the test binary then runs as that server.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirVariable); dir != "" {
		os.Exit(runCrashVictim(dir))
	}
	goleak.VerifyTestMain(m)
}
