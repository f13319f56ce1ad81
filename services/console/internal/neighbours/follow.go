package neighbours

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Silence is how long a stream may say nothing at all, not even a comment,
// before it counts as lost.
const Silence = 45 * time.Second

// Follow reads a service's server-sent events and hands over each one's name
// and data, in order, until ctx ends or the stream does. It never returns nil:
// a stream has no end of its own.
func (n *Neighbours) Follow(ctx context.Context, name, path string, take func(event, data string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answer, err := n.open(ctx, name, path, "text/event-stream")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &RefusedError{Service: name, Status: answer.StatusCode}
	}
	silent := time.AfterFunc(Silence, func() { cancel(fmt.Errorf("%s %w any more", name, ErrUnanswered)) })
	defer silent.Stop()

	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, maxAnswer)
	event, data := "", []string(nil)
	for lines.Scan() {
		silent.Reset(Silence)
		switch field, value, _ := strings.Cut(lines.Text(), ":"); {
		case lines.Text() == "":
			if data != nil {
				take(event, strings.Join(data, "\n"))
			}
			event, data = "", nil
		case field == "event":
			event = strings.TrimPrefix(value, " ")
		case field == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err := lines.Err(); err != nil {
		return unanswered(name, err)
	}
	return errors.New(name + " ended its stream")
}
