package service

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/position"
)

// Projection is what a service shows of events. It lags behind them.
type Projection interface {
	// Await waits until what is read shows the event at p, at most for patience,
	// and returns what is known of it at the end of that.
	Await(ctx context.Context, p position.Position, patience time.Duration) (position.State, error)
	// Complete is the latest moment of which it is known that everything that had
	// reached the service by then is shown, apart from what is parked; zero when
	// that is not known of any. It is cheap enough to be asked with every read.
	Complete(ctx context.Context) time.Time
}

const (
	// longestWait is the most that a read waits; a request may take longer.
	longestWait = 5 * time.Second
	// behindHeader says how far a read is behind, in seconds.
	behindHeader = "Orderflow-Behind"
)

// AfterQuery is the part of the input that every read of a projection has.
type AfterQuery struct {
	After string `query:"after" maxLength:"2000" doc:"the Orderflow-Position of a command: answer when its outcome is shown here"`
	Wait  string `query:"wait" pattern:"^[0-9]{1,5}(ms|s)$" patternDescription:"a number and ms or s" default:"2s" doc:"how long to wait for that, at most 5s; then the answer is 503 with Retry-After"`
}

func (q AfterQuery) asked() AfterQuery { return q }

// Read adds a reading operation on a projection. A read with a position waits
// until the projection has applied the event behind it, and is answered with 503
// when it does not in time. Every answer, also that nothing was found, says in
// the header Orderflow-Behind by how many seconds it may be behind what has
// reached the service; only a request that is refused for its form may not.
func Read[I interface{ asked() AfterQuery }, O any](
	s *Service, shown Projection, path, summary string, handler func(context.Context, *I) (*O, error),
) {
	operation := s.operation(http.MethodGet, path, summary, http.StatusOK)
	operation.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		next(huma.WithValue(ctx, headerKey{}, ctx.SetHeader))
	}}
	register(s, operation, func(ctx context.Context, in *I) (*O, error) {
		err := await(ctx, shown, (*in).asked())
		// Before reading: what is read can only be newer. Also when nothing is found, or the wait was in vain: whether that
		// is worth another try depends on it.
		if set, ok := ctx.Value(headerKey{}).(func(name, value string)); ok {
			set(behindHeader, howFarBehind(time.Now(), shown.Complete(ctx)))
		}
		if err != nil {
			return nil, err
		}
		return handler(ctx, in)
	})
	for status, response := range operation.Responses {
		text := "seconds, with three decimals: what had reached this service that long ago is shown, apart from events that wait for a person; unknown when that cannot be told yet"
		if status == "default" {
			text += "; may be absent when the request was refused for its form"
		}
		response.Headers = withHeader(response.Headers, behindHeader, text)
	}
}

// headerKey is the context key of the function that sets a header of the answer.
type headerKey struct{}

func withHeader(headers map[string]*huma.Header, name, description string) map[string]*huma.Header {
	if headers == nil {
		headers = map[string]*huma.Header{}
	}
	headers[name] = &huma.Header{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
	return headers
}

func howFarBehind(now, complete time.Time) string {
	if complete.IsZero() {
		return "unknown"
	}
	return strconv.FormatFloat(max(0, now.Sub(complete).Seconds()), 'f', 3, 64)
}

// await waits for what a read asks for, if it does.
func await(ctx context.Context, shown Projection, asked AfterQuery) error {
	patience, err := time.ParseDuration(asked.Wait)
	if err != nil || patience > longestWait {
		return invalidQuery("wait", "at most "+longestWait.String())
	}
	if asked.After == "" {
		return nil
	}
	p, err := position.Parse(asked.After)
	if err != nil {
		return invalidQuery("after", "not an Orderflow-Position")
	}
	state, err := shown.Await(ctx, p, patience)
	switch {
	case err != nil:
		return err
	case state == position.Applied:
		return nil
	case state == position.Parked:
		return NewProblem(http.StatusServiceUnavailable, "position-parked",
			"this service could not apply the event; it waits for a person, see GET /deadletters").RetryAfter("60")
	case state == position.Held:
		return NewProblem(http.StatusServiceUnavailable, "position-not-reached",
			"this service could not apply the event so far, and tries it again").RetryAfter("1")
	default:
		return NewProblem(http.StatusServiceUnavailable, "position-not-reached", "the event has not arrived here yet").RetryAfter("1")
	}
}

func invalidQuery(name, message string) error {
	return NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed",
		FieldError{Location: "query." + name, Message: message})
}

const (
	// lookEvery is how often it is looked what waits, however many read.
	lookEvery = time.Second
	// lookFor bounds how long a read is kept by that.
	lookFor = 500 * time.Millisecond
)

// Consumption is the [Projection] that an inbox writes.
type Consumption struct {
	in    *inbox.Inbox
	own   string // the source of the service's own events
	depth func(context.Context) (int, error)

	mu       sync.Mutex
	looking  bool
	lookedAt time.Time
	empty    time.Time // when nothing waited; zero before that was seen
	held     time.Time // when the oldest of what is held arrived, zero when nothing is
}

func (s *Service) consumption(bus eventbus.Bus, in *inbox.Inbox) *Consumption {
	return &Consumption{
		in: in, own: "/orderflow/" + s.name,
		depth: func(ctx context.Context) (int, error) { return bus.Depth(ctx, s.name) },
	}
}

// Await waits for the inbox. What the service announced itself it has written
// before.
func (c *Consumption) Await(ctx context.Context, p position.Position, patience time.Duration) (position.State, error) {
	if p.Source == c.own {
		return position.Applied, nil
	}
	return c.in.Await(ctx, p, patience)
}

// Complete follows from a look at the queue and the inbox, once a second at
// most: when both are empty, that moment. While events flow it is the time of
// the newest that was handled. What is held keeps it at the arrival of the
// oldest of that.
func (c *Consumption) Complete(ctx context.Context) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.looking && time.Since(c.lookedAt) >= lookEvery {
		c.looking = true
		c.mu.Unlock()
		now, empty, held, err := c.look(ctx)
		c.mu.Lock()
		c.looking, c.lookedAt = false, now
		if err == nil {
			if c.held = held; empty {
				c.empty = now
			}
		}
	}
	complete := c.empty
	if newest := c.in.Newest(); newest.After(complete) {
		complete = newest
	}
	if !c.held.IsZero() && c.held.Before(complete) {
		complete = c.held
	}
	return complete
}

// look tells whether nothing waits, and since when something is held. An error
// means that it cannot be told, and that what was known grows older.
func (c *Consumption) look(ctx context.Context) (now time.Time, empty bool, held time.Time, err error) {
	now = time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	depth, err := c.depth(ctx)
	idle := !c.in.Busy() // after the queue: what has left that is being handled
	waiting, waitingErr := c.in.Waiting(ctx)
	return now, depth == 0 && idle, waiting.OldestHeld, errors.Join(err, waitingErr)
}
