package eventlog

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// LinkTo is the data of a link to an event.
func LinkTo(stream string, revision int64) []byte { return fmt.Appendf(nil, "%d@%s", revision, stream) }

// ParseLink reads the data of a link. It returns false for what does not read "<revision>@<stream>".
func ParseLink(data []byte) (stream string, revision int64, ok bool) {
	number, stream, _ := strings.Cut(string(data), "@")
	revision, err := strconv.ParseInt(number, 10, 64)
	if err != nil || revision < 0 || stream == "" {
		return "", 0, false
	}
	return stream, revision, true
}

// Follow finds the event that a link points to, one step only. A link to an event that is gone, or that its stream's
// metadata hides, has a nil target. It returns isLink false for an event whose data is not that of a link.
func (l *Log) Follow(ctx context.Context, link *Event) (target *Event, isLink bool, err error) {
	stream, revision, ok := ParseLink(link.Data)
	if !ok {
		return nil, false, nil
	}
	target, err = l.Event(ctx, stream, revision)
	return target, true, err
}
