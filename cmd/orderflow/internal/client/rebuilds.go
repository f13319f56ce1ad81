package client

import (
	"context"
	"time"
)

// Rebuild is the state of the rebuild of a service's read model, as the service tells it.
type Rebuild struct {
	Model    string `json:"model"`
	Status   string `json:"status"`
	Asked    string `json:"asked"`
	Reason   string `json:"reason"`
	ReplayTo string `json:"replayTo"`
	Compared int64  `json:"compared"`
	// BegunAt tells one rebuild from the next.
	BegunAt time.Time `json:"begunAt"`
	// Differences between the live model and the new one.
	Differences []struct {
		Table string `json:"table"`
		Key   string `json:"key"`
		What  string `json:"what"`
	} `json:"differences"`
}

// Rebuild reads the state; see [IsNotFound].
func (c *Client) Rebuild(ctx context.Context, service string) (Rebuild, error) {
	var r Rebuild
	err := c.get(ctx, service, "/rebuild", &r)
	return r, err
}

// BeginRebuild has a service begin to make its read model anew, or go on.
func (c *Client) BeginRebuild(ctx context.Context, service string) (Rebuild, error) {
	var r Rebuild
	err := c.post(ctx, service, "/rebuild", nil, &r)
	return r, err
}

// FinishRebuild says what to do once the new model has everything: check, swap or anyway.
func (c *Client) FinishRebuild(ctx context.Context, service, ask string) (Rebuild, error) {
	var r Rebuild
	err := c.post(ctx, service, "/rebuild/finish", map[string]string{"ask": ask}, &r)
	return r, err
}

// CancelRebuild gives the new model up.
func (c *Client) CancelRebuild(ctx context.Context, service string) (Rebuild, error) {
	var r Rebuild
	err := c.post(ctx, service, "/rebuild/cancel", nil, &r)
	return r, err
}
