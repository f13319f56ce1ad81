package persistent

import (
	"container/list"
	"encoding/json"
	"hash/fnv"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// message is an event on its way through a group. It goes from a queue to a consumer and, when that does not work out, to
// a queue again, until it is done:
//
//	pending -> in flight -> done
//	             |   ^
//	             v   |
//	           lost -> retries        (content is read from the log again)
//	             |
//	             v
//	          parking -> done         (the link is durable)
type message struct {
	id       uuid.UUID // of the original event: what an acknowledgement names
	position int64     // of the original event, to read it again
	stream   string    // with revision: what a parked link points to
	revision int64
	pin      uint32 // events with equal pins belong to one consumer

	replayed bool // from the parked stream
	before   mark // what lies before it in its source
	order    int64
	element  *list.Element

	// The content, absent while it is with a consumer.
	event, link *eventlog.Event

	retries int
	holder  *Consumer // nil while it is in a queue
	since   time.Time // when it was given to the holder
	known   bool      // whether acknowledgements can name it
	done    bool

	// Once it is to be parked:
	parkedID uuid.UUID
	reason   string
	parkedBy string
	parkedAt time.Time
}

// eventOverhead is what an event takes in memory beside its content, in bytes: many small ones weigh, too.
const eventOverhead = 512

// size is what the content takes in memory, in bytes.
func (m *message) size() int {
	n := 0
	for _, e := range []*eventlog.Event{m.event, m.link} {
		if e != nil {
			n += eventOverhead + len(e.Data) + len(e.Metadata)
		}
	}
	return n
}

// fromSource reports whether the content is that of the source, and no link in the source was followed to it.
func (m *message) fromSource() bool {
	return m.link == nil || m.replayed && m.event.Stream == m.stream && m.event.Revision == m.revision
}

// pinBuckets is how many groups of streams there are that consumers are pinned to; so many has the original server.
const pinBuckets = 1024

// pinOf says which events belong together.
func pinOf(strategy string, e *eventlog.Event) uint32 {
	name := e.Stream
	switch strategy {
	case Pinned:
	case PinnedByCorrelation:
		if id := correlationID(e.Metadata); id != "" {
			name = id
		}
	default:
		return 0
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name)) // never fails
	return hash.Sum32() % pinBuckets
}

// correlationID reads $correlationId from an event's metadata; what is no JSON object has none.
func correlationID(metadata []byte) string {
	var m struct {
		CorrelationID any `json:"$correlationId"`
	}
	if json.Unmarshal(metadata, &m) != nil {
		return ""
	}
	id, _ := m.CorrelationID.(string)
	return id
}
