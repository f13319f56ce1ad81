package esdbserver_test

import (
	"context"
	"log/slog"
	"sync"

	"orderflow/pkg/esdbserver"
)

// recordHandler is a log handler that tells of every record.
type recordHandler struct {
	tell func(slog.Record)
}

func (recordHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h recordHandler) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h recordHandler) WithGroup(string) slog.Handler          { return h }
func (h recordHandler) Handle(_ context.Context, r slog.Record) error {
	h.tell(r)
	return nil
}

// tellsOf makes a channel that is closed when the server logs a message.
func tellsOf(c *esdbserver.Config, message string) <-chan struct{} {
	seen := make(chan struct{})
	once := sync.OnceFunc(func() { close(seen) })
	c.Logger = slog.New(recordHandler{func(r slog.Record) {
		if r.Message == message {
			once()
		}
	}})
	return seen
}
