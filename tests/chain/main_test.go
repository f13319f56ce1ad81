//go:build unix

package chain

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
)

// The environment of a child: its role, and where everything is.
const (
	roleVariable     = "CHAIN_ROLE"
	storeVariable    = "CHAIN_STORE"
	storeDirVariable = "CHAIN_STORE_DIR"
	busVariable      = "CHAIN_BUS"
	orderVariable    = "CHAIN_ORDER"
	packingVariable  = "CHAIN_PACKING"
	crmVariable      = "CHAIN_CRM"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // the parent holds the other end: a child never outlives it
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
		os.Exit(1)
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if err := play(ctx, role, log); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func play(ctx context.Context, role string, log *slog.Logger) error {
	switch role {
	case "store":
		return runStore(ctx, log)
	case "relay":
		return runRelay(ctx, log)
	case "consumer":
		return runConsumer(ctx, log)
	default:
		return fmt.Errorf("no role %q", role)
	}
}
