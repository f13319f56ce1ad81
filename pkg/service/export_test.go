package service

import (
	"context"

	"orderflow/pkg/inbox"
)

// NewConsumption is what Consume returns, over a queue of a test's own.
func NewConsumption(in *inbox.Inbox, depth func(context.Context) (int, error)) *Consumption {
	return &Consumption{in: in, own: "/orderflow/test", depth: depth}
}
