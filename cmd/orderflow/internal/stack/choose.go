package stack

import (
	"context"
	"fmt"

	"orderflow/cmd/orderflow/internal/datadir"
)

// Choice is a stack and why it was taken.
type Choice struct {
	Stack  string
	Reason string
}

// Docker is what [Choose] asks about containers; a [Compose] is one.
type Docker interface {
	// Usable returns nil when an engine answers, otherwise why not.
	Usable(ctx context.Context) error
	// Prepare gets and builds the images.
	Prepare(ctx context.Context) error
}

// Choose decides which stack to start. forced names it, or is empty: then containers are taken when an engine answers
// and its images can be had, and the embedded servers otherwise. It fails only when containers are demanded and cannot
// be had.
func Choose(ctx context.Context, forced string, docker Docker) (Choice, error) {
	if forced == datadir.Embedded {
		return Choice{datadir.Embedded, "as told"}, nil
	}
	err := docker.Usable(ctx)
	if err == nil {
		err = docker.Prepare(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return Choice{}, context.Cause(ctx)
	case forced == datadir.Docker && err != nil:
		return Choice{}, fmt.Errorf("STACK=docker: %w", err)
	case forced == datadir.Docker:
		return Choice{datadir.Docker, "as told"}, nil
	case err != nil:
		return Choice{datadir.Embedded, err.Error()}, nil //nolint:nilerr // the reason is part of the choice
	}
	return Choice{datadir.Docker, "a Docker engine answers and has the images"}, nil
}
