package esdbserver

import (
	"context"
	"strconv"
	"strings"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// follow finds the event that a link points to, one step only. A link to an event that is gone, or that its stream's
// metadata hides, has a nil target. It returns isLink false for an event whose data does not read "<revision>@<stream>":
// that one is delivered as it is.
func (r *reader) follow(ctx context.Context, link *eventlog.Event) (target *eventlog.Event, isLink bool, err error) {
	number, stream, found := strings.Cut(string(link.Data), "@")
	if !found {
		return nil, false, nil
	}
	revision, err := strconv.ParseInt(number, 10, 64)
	if err != nil || revision < 0 || stream == "" {
		return nil, false, nil //nolint:nilerr // the data is the user's: what is no link is an ordinary event
	}
	target, err = r.log.Event(ctx, stream, revision)
	return target, true, err
}
