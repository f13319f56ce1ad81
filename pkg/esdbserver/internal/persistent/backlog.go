package persistent

import "container/list"

// mark is a place in a source together with the number of events that were looked at up to it.
type mark struct {
	place int64
	count int64
}

// backlog holds the messages that were taken from a source and are not done, in the order of the source. So it knows up
// to where everything is done.
type backlog struct {
	messages list.List // of *message
	seen     mark      // the last event that was looked at
}

// pass notes an event that is not delivered. One that does not count brings a checkpoint no nearer: were the server's own
// bookkeeping to count, each checkpoint would bring about the next.
func (b *backlog) pass(place int64, counts bool) {
	b.seen.place = place
	if counts {
		b.seen.count++
	}
}

// add notes an event that is going to be delivered.
func (b *backlog) add(place int64, m *message) {
	m.before = b.seen
	b.pass(place, true)
	m.order = b.seen.count
	m.element = b.messages.PushBack(m)
}

// remove notes that a message is done.
func (b *backlog) remove(m *message) { b.messages.Remove(m.element) }

func (b *backlog) empty() bool { return b.messages.Len() == 0 }

// done is up to where everything is done.
func (b *backlog) done() mark {
	if lowest, ok := b.lowest(); ok {
		return lowest.before
	}
	return b.seen
}

func (b *backlog) lowest() (*message, bool) {
	front := b.messages.Front()
	if front == nil {
		return nil, false
	}
	m, ok := front.Value.(*message)
	return m, ok
}
