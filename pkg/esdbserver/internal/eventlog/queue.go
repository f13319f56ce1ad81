package eventlog

import "sync"

// queue holds the writes that wait for the writer, in the order in which they came. It is bounded by its users: every
// write in it has a caller who holds the same events in memory.
type queue struct {
	mu      sync.Mutex
	waiting []*write
	closed  bool
	more    chan struct{} // has a signal when the writer may have something to do
}

func newQueue() *queue { return &queue{more: make(chan struct{}, 1)} }

// add queues a write. It returns false when the queue is closed. A write that is queued will be answered.
func (q *queue) add(w *write) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, w)
	q.signal()
	return true
}

// close lets nothing more in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.more <- struct{}{}:
	default: // the writer has yet to see the last one
	}
}

// take moves writes to the end of a transaction, as many as fit into it, and reports whether the queue is closed and empty.
func (q *queue) take(writes []*write) (taken []*write, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes := 0
	for _, w := range writes {
		bytes += w.size
	}
	n := 0
	for n < len(q.waiting) && len(writes)+n < maxBatchWrites && bytes < maxBatchBytes {
		bytes += q.waiting[n].size
		n++
	}
	writes = append(writes, q.waiting[:n]...)
	clear(q.waiting[:n])
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return writes, q.closed && len(q.waiting) == 0
}

// length is how many writes wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
