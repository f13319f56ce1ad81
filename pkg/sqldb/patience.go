package sqldb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is how long a server may take to answer one statement, with those that
// were queued before it: their answers come together, so nobody can tell a slow
// one from the next. A connection whose other end vanished without a word, or
// stands still, would otherwise be waited for until the caller's context ends,
// which for a consumer is never.
type patience time.Duration

// bounded is a context that ends when patience does.
type bounded struct {
	context.Context
	caller context.Context // to tell whose deadline it was
	within patience
	end    context.CancelFunc
}

func (p patience) bound(ctx context.Context) *bounded {
	inner, cancel := context.WithTimeout(ctx, time.Duration(p))
	return &bounded{Context: inner, caller: ctx, within: p, end: cancel}
}

// explain says that the server is what took too long, when it is.
func (b *bounded) explain(err error) error {
	if err == nil || b.caller.Err() != nil || !errors.Is(b.Err(), context.DeadlineExceeded) {
		return err
	}
	return unavailable{text: fmt.Sprintf("no answer within %s", time.Duration(b.within)), err: err}
}
