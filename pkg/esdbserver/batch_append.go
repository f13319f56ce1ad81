package esdbserver

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// One call of BatchAppend may have so many batches begun and so many handed over to be written, and they may take so many
// bytes between them. A client that begins too many is refused the next; one that hands over faster than the log can
// write is read from more slowly.
const (
	maxBatchesUnfinished = 1024
	maxBatchesInFlight   = 256
	minBatchBytes        = 16 << 20
)

// BatchAppend writes batches of events, many in one call. Each batch is an append by itself: it has an id of the client's
// (the correlation id), begins with its options, comes in one message or several, those of different batches mixed, and
// is written when its last message says so. The next batch need not wait for the answer to the one before. Every batch
// gets one answer, as soon as it is durable or refused; the answers to batches for the same stream come in the order in
// which these were handed over. A refused batch does not end the call.
func (s *streamsService) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	call := &batchCall{
		service: s, stream: stream, ctx: ctx,
		unfinished: map[uuid.UUID]*batch{}, refused: map[uuid.UUID]struct{}{}, latest: map[string]*batch{},
		expired: make(chan *batch), answered: make(chan *batch),
	}
	err := call.run()
	call.finish()
	return s.server.statusOf(err)
}

// batchCall is one call of BatchAppend.
type batchCall struct {
	service *streamsService
	stream  streams.Streams_BatchAppendServer
	ctx     context.Context // ends with the call
	sending sync.Mutex

	expired  chan *batch // batches whose deadline has passed
	answered chan *batch // batches whose answer was sent

	// What follows belongs to the goroutine that runs the call.
	unfinished  map[uuid.UUID]*batch
	refused     map[uuid.UUID]struct{} // batches answered before their last message, which may still come
	latest      map[string]*batch      // by stream: the batch handed over last, until its answer was sent
	inFlight    int
	heldBytes   int // of unfinished batches
	flyingBytes int // of batches in flight
}

// run takes messages until the client has sent the last one and all batches are answered.
func (c *batchCall) run() error {
	messages, ended := c.receive()
	for {
		next := messages
		if c.inFlight >= maxBatchesInFlight || c.inFlight > 0 && c.heldBytes+c.flyingBytes > c.byteLimit() {
			next = nil // until some of it is written
		}
		select {
		case m := <-next:
			c.take(m)
		case b := <-c.expired:
			if c.unfinished[b.id] == b {
				c.refuseEarly(b, false, context.DeadlineExceeded)
			}
		case b := <-c.answered:
			c.release(b)
		case err := <-ended:
			if !errors.Is(err, io.EOF) {
				return err
			}
			for _, b := range c.unfinished {
				c.refuse(b, invalid("The call ended before the batch did: its last message must say is_final."))
			}
			return nil
		case <-c.service.server.stopping.Done():
			return errShuttingDown
		}
	}
}

// receive hands on what the client sends, in a goroutine of its own so that the call can end while nothing comes. The
// reason of the end arrives behind the last message.
func (c *batchCall) receive() (<-chan *streams.BatchAppendReq, <-chan error) {
	messages, ended := make(chan *streams.BatchAppendReq), make(chan error)
	go func() {
		for {
			message, err := c.stream.Recv()
			if err != nil {
				select {
				case ended <- err:
				case <-c.ctx.Done():
				}
				return
			}
			select {
			case messages <- message:
			case <-c.ctx.Done():
				return
			}
		}
	}()
	return messages, ended
}

// finish waits until everything that was handed over is answered.
func (c *batchCall) finish() {
	for c.inFlight > 0 {
		c.release(<-c.answered)
	}
}

// answer sends the answer to a batch when there is one, behind those to earlier batches for the same stream.
func (c *batchCall) answer(b *batch, wait func() *streams.BatchAppendResp) {
	before := c.latest[b.stream]
	c.latest[b.stream] = b
	c.inFlight++
	c.flyingBytes += b.bytes
	go func() {
		response := wait()
		if before != nil {
			<-before.sent
		}
		c.send(b.addressed(response))
		close(b.sent)
		c.answered <- b
	}()
}

// send sends one answer. When it fails the connection is gone, which the receiving side finds out too.
func (c *batchCall) send(response *streams.BatchAppendResp) {
	c.sending.Lock()
	defer c.sending.Unlock()
	_ = c.stream.Send(response)
}

// release forgets a batch that was answered.
func (c *batchCall) release(b *batch) {
	c.inFlight--
	c.flyingBytes -= b.bytes
	if c.latest[b.stream] == b {
		delete(c.latest, b.stream)
	}
}

// byteLimit is how many bytes of events one call may keep in memory. The largest append fits, unless it is one of very many
// events with next to nothing in them.
func (c *batchCall) byteLimit() int {
	return max(minBatchBytes, 2*c.service.server.config.MaxAppendSize)
}
