package persistent

import (
	"encoding/binary"
	"hash/fnv"
)

// strategy chooses consumers. It is used under the lock of its group.
type strategy interface {
	// consumers tells who there is, before the first choice and whenever that changes.
	consumers(all []*Consumer)
	// choose names the consumer that a message goes to, or nil when the message has to wait.
	choose(m *message) *Consumer
}

// newStrategy returns nil for a name that means nothing.
func newStrategy(name string) strategy {
	switch name {
	case RoundRobin:
		return &roundRobin{}
	case DispatchToSingle:
		return &dispatchToSingle{}
	case Pinned, PinnedByCorrelation:
		return &pinned{}
	}
	return nil
}

// roundRobin gives each consumer one event in turn and leaves out those that have all they want.
type roundRobin struct {
	all  []*Consumer
	next int
}

func (r *roundRobin) consumers(all []*Consumer) { r.all = all }

func (r *roundRobin) choose(*message) *Consumer {
	for range r.all {
		c := r.all[r.next%len(r.all)]
		r.next = (r.next + 1) % len(r.all)
		if c.available() {
			return c
		}
	}
	return nil
}

// dispatchToSingle stays with one consumer until that has all it wants.
type dispatchToSingle struct {
	all     []*Consumer
	current int
}

func (d *dispatchToSingle) consumers(all []*Consumer) { d.all = all }

func (d *dispatchToSingle) choose(*message) *Consumer {
	for range d.all {
		d.current %= len(d.all)
		if c := d.all[d.current]; c.available() {
			return c
		}
		d.current++
	}
	return nil
}

// pinned gives all events with one pin to one consumer, and waits for that one. When a consumer comes it takes over some
// pins of each of the others, and when it leaves they go back to them: every pin belongs to the consumer who has the
// highest rank for it.
type pinned struct{ owners [pinBuckets]*Consumer }

func (p *pinned) consumers(all []*Consumer) {
	for pin := range p.owners {
		var highest uint64
		p.owners[pin] = nil
		for _, c := range all {
			if rank := rank(c.id, uint32(pin)); p.owners[pin] == nil || rank > highest {
				p.owners[pin], highest = c, rank
			}
		}
	}
}

func (p *pinned) choose(m *message) *Consumer {
	if owner := p.owners[m.pin]; owner != nil && owner.available() {
		return owner
	}
	return nil
}

// rank is a number that looks random and is always the same for a consumer and a pin.
func rank(consumer uint64, pin uint32) uint64 {
	var text [12]byte
	binary.BigEndian.PutUint64(text[:8], consumer)
	binary.BigEndian.PutUint32(text[8:], pin)
	hash := fnv.New64a()
	_, _ = hash.Write(text[:]) // never fails
	// The last bytes hardly reach the high bits of such a hash: mix once more.
	h := hash.Sum64()
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}
