package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/histogram"
)

const (
	// window bounds how many publishes of a session may be unconfirmed.
	window = 1024
	// slack is room for returns beyond the window. A returned message was in
	// the window, so the buffer is never full, and the library, which would
	// stop reading the connection, never has to wait for us.
	slack = 64
)

var (
	// errUnknown says that the broker may or may not have an event.
	errUnknown = errors.New("outcome unknown")
	// errSilent says why a session was given up on which nothing else was wrong.
	errSilent = errors.New("no confirm")
)

// outgoing is an event as it goes onto the wire.
type outgoing struct {
	exchange   string
	key        string
	subject    string
	publishing amqp.Publishing
	command    bool
}

// pipe is the publishing channel of one session. Any number of callers keep up
// to a window of publishes on their way at the same time, each as a flight.
type pipe struct {
	session *session
	ch      *amqp.Channel
	slots   chan struct{}
	patient time.Duration // with a confirm, while the broker does not block
	// confirmTime is where the bus counts it.
	confirmTime *histogram.Recorder
	suspects    *suspects // whose messages are not for this pipe

	began     time.Time
	confirmed atomic.Int64 // when a confirm last came, or could not come; nanoseconds since began
	resumed   atomic.Int64 // when the broker was last seen to block; likewise

	mu       sync.Mutex
	returns  chan amqp.Return
	returned map[string]int // by message id, not yet claimed
}

func openPipe(s *session, patient time.Duration, confirmTime *histogram.Recorder, known *suspects) (*pipe, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open publishing channel: %w", err)
	}
	if err := ch.Confirm(false); err != nil {
		return nil, fmt.Errorf("ask for confirms: %w", err)
	}
	p := &pipe{
		session: s, ch: ch, patient: patient, confirmTime: confirmTime, suspects: known, began: time.Now(),
		slots:    make(chan struct{}, window),
		returns:  ch.NotifyReturn(make(chan amqp.Return, window+slack)),
		returned: map[string]int{},
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	s.watch.Go(func() {
		// A publishing channel that the broker closes takes its session along:
		// everything on its way is in doubt, and a fresh start settles it.
		if err, ok := <-closed; ok {
			s.fail(fmt.Errorf("publishing channel: %w", err))
		}
	})
	return p, nil
}

// landed is what became of the messages of one flight.
type landed struct {
	refused  []error         // commands that no queue takes
	doubtful []outgoing      // to be sent again, in order: those in doubt, and those not sent yet
	unknown  int             // how many of the doubtful were sent
	careful  map[string]bool // subjects of which the broker did not take a message
	err      error           // why some are doubtful; errUnknown if sending them again may help
}

// publish sends the messages in order and waits for their confirms. One that
// the broker does not take, or leaves without an answer while it answers others,
// is doubtful alone: it stops only the later ones of its subject. Of the subjects
// in careful, where that has happened before, one message is tried.
func (p *pipe) publish(ctx context.Context, messages []outgoing, careful map[string]bool) landed {
	f := &flight{pipe: p, messages: messages, careful: careful, waiting: make([]sent, 0, min(len(messages), window))}
	err := f.run(ctx)
	return f.land(err)
}

// release gives the slot of a message back whose outcome is there.
func (p *pipe) release(now time.Time) {
	p.confirmed.Store(int64(now.Sub(p.began)))
	<-p.slots
}

// blocked notes that nothing can be expected of the broker at the moment.
func (p *pipe) blocked() {
	now := int64(time.Since(p.began))
	p.confirmed.Store(now)
	p.resumed.Store(now)
}

// silent is how long the broker has confirmed nothing at all.
func (p *pipe) silent(now time.Time) time.Duration {
	return now.Sub(p.began) - time.Duration(p.confirmed.Load())
}

// awaited is for how long of the time since at the broker could have answered.
func (p *pipe) awaited(at, now time.Time) time.Duration {
	return min(now.Sub(at), now.Sub(p.began)-time.Duration(p.resumed.Load()))
}

// claimReturn reports whether the message came back because no queue takes it.
// The broker sends the return before the confirm, and the library's one reader
// has put it into the buffer before it resolved the confirm: after the confirm
// it is there or never comes.
func (p *pipe) claimReturn(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for drained := false; !drained; {
		select {
		case r, ok := <-p.returns:
			if ok {
				p.returned[r.MessageId]++
			}
			drained = !ok
		default:
			drained = true
		}
	}
	if p.returned[id] == 0 {
		return false
	}
	if p.returned[id]--; p.returned[id] == 0 {
		delete(p.returned, id)
	}
	return true
}
