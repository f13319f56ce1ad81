package eventbus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalidQueue says that a queue cannot be declared as described.
var ErrInvalidQueue = errors.New("invalid queue")

const (
	defaultBatchSize = 100
	// maxBatchSize keeps a prefetch of two batches within what quorum queues
	// are meant for.
	maxBatchSize = 1000
	// maxQueueName leaves room for the namespace and the suffixes that a bus
	// puts around the name within the 255 bytes AMQP allows.
	maxQueueName = 180
)

// DeadSuffix ends the name of the queue in which a broker keeps, as its own
// last resort, deliveries of a queue that were returned too often.
const DeadSuffix = ".dead"

// Reserved reports whether the name is one that a bus makes itself: [Unrouted]
// or a queue of dead letters. Such a queue can be consumed, and has no patterns.
func (q Queue) Reserved() bool {
	return q.Name == Unrouted || strings.HasSuffix(q.Name, DeadSuffix)
}

// Complete returns the queue with its defaults filled in and its patterns
// sorted, each once, or an error wrapping [ErrInvalidQueue] or
// [ErrInvalidPattern]. Every bus does this first.
func (q Queue) Complete() (Queue, error) {
	switch problem := textProblem(q.Name); {
	case q.Name == "":
		return q, fmt.Errorf("%w: no name", ErrInvalidQueue)
	case len(q.Name) > maxQueueName:
		return q, fmt.Errorf("%w: name %.40q... is longer than %d bytes", ErrInvalidQueue, q.Name, maxQueueName)
	case problem != "":
		return q, fmt.Errorf("%w: name %q %s", ErrInvalidQueue, q.Name, problem)
	case strings.HasPrefix(q.Name, "amq."):
		return q, fmt.Errorf("%w: %q: names in amq. belong to brokers", ErrInvalidQueue, q.Name)
	case q.BatchSize < 0 || q.BatchSize > maxBatchSize:
		return q, fmt.Errorf("%w: %q: batch size %d is not between 1 and %d", ErrInvalidQueue, q.Name, q.BatchSize, maxBatchSize)
	case q.Reserved() && len(q.Patterns) > 0:
		return q, fmt.Errorf("%w: %q is filled by the bus and takes no patterns", ErrInvalidQueue, q.Name)
	case !q.Reserved() && len(q.Patterns) == 0:
		return q, fmt.Errorf("%w: %q has no patterns", ErrInvalidQueue, q.Name)
	}
	for _, pattern := range q.Patterns {
		if err := ValidatePattern(pattern); err != nil {
			return q, fmt.Errorf("queue %q: %w", q.Name, err)
		}
	}
	if q.BatchSize == 0 {
		q.BatchSize = defaultBatchSize
	}
	q.Patterns = slices.Compact(slices.Sorted(slices.Values(q.Patterns)))
	return q, nil
}
