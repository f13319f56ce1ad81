package esdbserver

import (
	"context"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// batchEventOverhead is what an event takes in memory beside its content.
const batchEventOverhead = 128

// batch is one append among those of a call of BatchAppend.
type batch struct {
	appendRequest
	id       uuid.UUID
	options  *streams.BatchAppendReq_Options
	as       *shared.UUID // the id in the form in which it came
	size     int          // as the limits count it
	bytes    int          // as it weighs in memory
	deadline time.Time
	timer    *time.Timer   // until the batch is handed over
	sent     chan struct{} // closed when the answer was sent
}

// take adds a message to its batch, and hands the batch over when it is the last.
func (c *batchCall) take(m *streams.BatchAppendReq) {
	id, err := parseUUID(m.GetCorrelationId())
	if err != nil {
		c.refuse(&batch{as: m.GetCorrelationId(), options: m.GetOptions(), sent: make(chan struct{})}, err)
		return
	}
	b, begun := c.unfinished[id]
	if _, refused := c.refused[id]; refused && m.GetOptions() == nil {
		if m.GetIsFinal() {
			delete(c.refused, id)
		}
		return // it was answered already
	}
	if !begun {
		b = &batch{id: id, as: m.GetCorrelationId(), options: m.GetOptions(), sent: make(chan struct{})}
		if err := c.begin(b); err != nil {
			c.refuseEarly(b, m.GetIsFinal(), err)
			return
		}
	}
	// The original server ignores options that come again in the middle of a batch.
	before := b.bytes
	err = b.add(c.service, m.GetProposedMessages())
	c.heldBytes += b.bytes - before
	if err == nil && c.heldBytes > c.byteLimit() {
		err = invalid("The unfinished batches of this call hold more than %d bytes: finish some before you begin others.", c.byteLimit())
	}
	switch {
	case err != nil:
		c.refuseEarly(b, m.GetIsFinal(), err)
	case m.GetIsFinal():
		c.handOver(b)
	}
}

// begin starts a batch with the options in its first message.
func (c *batchCall) begin(b *batch) (err error) {
	delete(c.refused, b.id)
	if b.options == nil {
		return invalid("The first message of a batch must carry the options.")
	}
	if b.stream, err = writableStream(b.options.GetStreamIdentifier()); err != nil {
		return err
	}
	b.seen = c.service.server.listChanges()
	if err = c.service.server.authorize(c.ctx, toWrite, b.stream); err != nil {
		return err
	}
	if b.expected, err = expectedOf(b.options.GetExpectedStreamPosition()); err != nil {
		return err
	}
	patience, err := c.service.batchPatience(b.options)
	switch {
	case err != nil:
		return err
	case patience <= 0:
		return context.DeadlineExceeded
	case len(c.unfinished) >= maxBatchesUnfinished:
		return invalid("There are %d unfinished batches in this call: finish some before you begin others.", maxBatchesUnfinished)
	}
	b.deadline = time.Now().Add(patience)
	b.timer = time.AfterFunc(patience, func() {
		select {
		case c.expired <- b:
		case <-c.ctx.Done():
		}
	})
	c.unfinished[b.id] = b
	return nil
}

// batchPatience is how long a batch may take from its first message to its commit: as long as the client asks, in either
// of the two forms, but never longer than any write.
func (s *streamsService) batchPatience(options *streams.BatchAppendReq_Options) (time.Duration, error) {
	patience := s.server.config.WriteTimeout
	switch asked := options.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline:
		if err := asked.Deadline.CheckValid(); err != nil {
			return 0, invalid("The deadline is no duration: %v", err)
		}
		patience = min(patience, asked.Deadline.AsDuration())
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		if err := asked.Deadline_21_10_0.CheckValid(); err != nil {
			return 0, invalid("The deadline is no time: %v", err)
		}
		patience = min(patience, time.Until(asked.Deadline_21_10_0.AsTime()))
	}
	return patience, nil
}

// add reads events into the batch.
func (b *batch) add(s *streamsService, messages []*streams.BatchAppendReq_ProposedMessage) error {
	for _, m := range messages {
		event, err := proposed(m)
		if err != nil {
			return err
		}
		b.size += event.Size()
		if err := s.checkSizes(event, b.size); err != nil {
			return err
		}
		b.bytes += event.Size() + batchEventOverhead
		b.events = append(b.events, event)
	}
	return nil
}

// handOver gives a complete batch to the log. Those that follow need not wait: the log writes them in this order.
func (c *batchCall) handOver(b *batch) {
	c.forget(b)
	if err := c.service.server.authorizeAgain(c.ctx, toWrite, b.stream, b.seen); err != nil {
		c.refuse(b, err)
		return
	}
	ctx, cancel := context.WithDeadline(c.ctx, b.deadline)
	pending, err := c.service.log.Begin(ctx, b.stream, b.expected, b.events)
	if err != nil {
		cancel()
		c.refuse(b, err)
		return
	}
	c.answer(b, func() *streams.BatchAppendResp {
		defer cancel()
		written, err := pending.Wait()
		if err != nil {
			return c.service.batchError(err)
		}
		return batchSuccess(written)
	})
}

// refuse answers a batch with an error.
func (c *batchCall) refuse(b *batch, err error) {
	c.forget(b)
	response := c.service.batchError(err)
	c.answer(b, func() *streams.BatchAppendResp { return response })
}

// refuseEarly refuses a batch because of one of its messages, which may be the last one, or for want of the next. What
// still comes of it is then let pass in silence, for it was answered; of how many batches the call remembers that is
// bounded.
func (c *batchCall) refuseEarly(b *batch, last bool, err error) {
	c.refuse(b, err)
	if last {
		return
	}
	if len(c.refused) >= maxBatchesUnfinished {
		clear(c.refused)
	}
	c.refused[b.id] = struct{}{}
}

// forget removes a batch from the unfinished ones, if it was one of them.
func (c *batchCall) forget(b *batch) {
	if c.unfinished[b.id] != b {
		return
	}
	delete(c.unfinished, b.id)
	c.heldBytes -= b.bytes
	b.timer.Stop()
}
