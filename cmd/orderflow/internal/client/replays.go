package client

import (
	"context"
	"net/url"
	"time"
)

// Replay is a replay of one service's history to a consumer, as that service tells it.
type Replay struct {
	ReplayID    string  `json:"replayId"`
	To          string  `json:"to"`
	Status      string  `json:"status"`
	Reason      string  `json:"reason"`
	Sent        int64   `json:"sent"`
	Progress    float64 `json:"progress"`
	PerSecond   float64 `json:"perSecond"`
	LeftSeconds float64 `json:"leftSeconds"`
	// Service is whose history it is.
	Service string `json:"service"`
}

// Open says that the replay has not ended: it runs or is paused.
func (r Replay) Open() bool { return r.Status == "running" || r.Status == "paused" }

// ReplayWish is what a replay should do; zero fields ask for nothing.
type ReplayWish struct {
	To    string    `json:"to"`
	After int64     `json:"after,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Rate  int64     `json:"rate,omitempty"`
}

// Replays lists the replays of a service's history, the newest first. A service that announces nothing has no such list:
// see [IsNotFound].
func (c *Client) Replays(ctx context.Context, service string) ([]Replay, error) {
	var page struct{ Items []Replay }
	err := c.get(ctx, service, "/replays", &page)
	for i := range page.Items {
		page.Items[i].Service = service
	}
	return page.Items, err
}

// BeginReplay has a service tell a consumer its history, or go on with that.
func (c *Client) BeginReplay(ctx context.Context, service string, wish ReplayWish) (Replay, error) {
	return c.replay(service, func(into *Replay) error { return c.post(ctx, service, "/replays", wish, into) })
}

// Replay reads one replay.
func (c *Client) Replay(ctx context.Context, service, id string) (Replay, error) {
	return c.replay(service, func(into *Replay) error { return c.get(ctx, service, "/replays/"+url.PathEscape(id), into) })
}

// ChangeReplay has a replay pause, resume or cancel.
func (c *Client) ChangeReplay(ctx context.Context, r Replay, verb string) (Replay, error) {
	path := "/replays/" + url.PathEscape(r.ReplayID) + "/" + verb
	return c.replay(r.Service, func(into *Replay) error { return c.post(ctx, r.Service, path, nil, into) })
}

func (c *Client) replay(service string, call func(into *Replay) error) (Replay, error) {
	var r Replay
	err := call(&r)
	r.Service = service
	return r, err
}

// Waiting counts the events in the queue of a consumer, as a service sees the bus; see [IsNotFound].
func (c *Client) Waiting(ctx context.Context, service, queue string) (int, error) {
	var state struct{ Waiting int }
	err := c.get(ctx, service, "/queues/"+url.PathEscape(queue), &state)
	return state.Waiting, err
}
