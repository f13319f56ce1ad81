package esdbserver

import (
	"context"
	"errors"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Read answers everything that reads: a part of one stream or of $all, and subscriptions to them.
func (s *streamsService) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	// Subscriptions and long reads end when the server does.
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.server.stopping, cancel)()

	err := s.read(ctx, req.GetOptions(), stream)
	if err != nil {
		err = s.server.statusOf(err)
		if trailer := trailerOf(err); trailer != nil {
			stream.SetTrailer(trailer)
		}
	}
	return err
}

func (s *streamsService) read(ctx context.Context, options *streams.ReadReq_Options, stream streams.Streams_ReadServer) error {
	r := &reader{log: s.log, send: stream.Send, sendEvent: stream.SendMsg, resolveLinks: options.GetResolveLinks()}
	err := r.parse(options)
	if err == nil {
		err = s.server.guarded(ctx, toRead, r.source(), func(ctx context.Context, g *guard) error {
			r.server, r.guard = s.server, g
			return r.run(ctx)
		})
	}
	if errors.Is(err, eventlog.ErrInvalidPosition) {
		// The original server foresees this for a subscription only.
		const text = "Trying to read from an invalid position."
		if r.subscribes {
			return invalid(text)
		}
		return unknown(text)
	}
	return err
}

func (r *reader) run(ctx context.Context) error {
	switch {
	case r.subscribes && r.stream != "":
		return r.subscribeStream(ctx)
	case r.subscribes:
		return r.subscribeAll(ctx)
	case r.stream != "":
		return r.readStream(ctx)
	}
	return r.readAll(ctx)
}

// reader is one call of Read with its options understood.
type reader struct {
	log  *eventlog.Log
	send func(*streams.ReadResp) error
	// sendEvent sends an event, which is encoded already.
	sendEvent func(any) error

	stream       string // empty for $all
	from         start
	backwards    bool
	subscribes   bool
	count        int64 // events to read, for a read that is no subscription
	resolveLinks bool
	uuidAsString bool
	filter       *filter
	// tellsEnds is whether the client asked for the messages about a stream's first and last position. The Go clients
	// never do, and panic when they get one.
	tellsEnds bool

	// server is asked for the rights to what links point to, and guard for that to what is read.
	server *Server
	guard  *guard
}

// source is the name of what is read.
func (r *reader) source() string {
	if r.stream == "" {
		return "$all"
	}
	return r.stream
}

// start is where a read begins: at an end, or at a revision or position.
type start struct {
	kind startKind
	at   int64
}

type startKind int

const (
	fromPoint startKind = iota
	fromStart
	fromEnd
)

func (r *reader) parse(options *streams.ReadReq_Options) error {
	switch options.GetReadDirection() {
	case streams.ReadReq_Options_Forwards:
	case streams.ReadReq_Options_Backwards:
		r.backwards = true
	default:
		return invalid("The read direction %d is unknown.", options.GetReadDirection())
	}
	switch c := options.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		r.count = int64(min(c.Count, math.MaxInt64))
	case *streams.ReadReq_Options_Subscription:
		r.subscribes = true
	default:
		return invalid("A read has a count or is a subscription.")
	}
	if options.GetUuidOption() == nil {
		return invalid("The UUID option is missing.")
	}
	_, r.uuidAsString = options.GetUuidOption().GetContent().(*streams.ReadReq_Options_UUIDOption_String_)
	r.tellsEnds = options.GetControlOption().GetCompatibility() >= 1
	if err := r.parseSource(options); err != nil {
		return err
	}
	return r.parseFilter(options)
}

func (r *reader) parseFilter(options *streams.ReadReq_Options) (err error) {
	switch by := options.GetFilterOption().(type) {
	case *streams.ReadReq_Options_NoFilter:
	case *streams.ReadReq_Options_Filter:
		if r.filter, err = parseFilter(by.Filter); err != nil {
			return err
		}
	default:
		return invalid("The filter option is missing: say no_filter when there is none.")
	}
	switch {
	case r.filter != nil && r.stream != "":
		return invalid("Only $all can be filtered.")
	case r.subscribes && r.backwards:
		return invalid("A subscription reads forwards.")
	case !r.subscribes && r.count == 0:
		return unknown("A read has a count above 0.")
	case !r.subscribes && !r.backwards && r.from.kind == fromEnd:
		return unknown("There is nothing to read forwards from the end.")
	}
	return nil
}

func (r *reader) parseSource(options *streams.ReadReq_Options) (err error) {
	switch source := options.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		if r.stream, err = streamName(source.Stream.GetStreamIdentifier()); err != nil {
			return err
		}
		r.from, err = streamStart(source.Stream)
	case *streams.ReadReq_Options_All:
		r.from, err = allStart(source.All)
	default:
		return invalid("A read is of a stream or of $all.")
	}
	return err
}

func streamStart(options *streams.ReadReq_Options_StreamOptions) (start, error) {
	switch at := options.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
		return start{kind: fromStart}, nil
	case *streams.ReadReq_Options_StreamOptions_End:
		return start{kind: fromEnd}, nil
	case *streams.ReadReq_Options_StreamOptions_Revision:
		revision, isMax, err := revisionOf(at.Revision)
		if isMax {
			return start{kind: fromEnd}, nil
		}
		return start{at: revision}, err
	}
	return start{}, invalid("The revision to read from is missing.")
}

func allStart(options *streams.ReadReq_Options_AllOptions) (start, error) {
	switch at := options.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		return start{kind: fromStart}, nil
	case *streams.ReadReq_Options_AllOptions_End:
		return start{kind: fromEnd}, nil
	case *streams.ReadReq_Options_AllOptions_Position:
		commit, prepare := at.Position.GetCommitPosition(), at.Position.GetPreparePosition()
		switch {
		case commit == math.MaxUint64 && prepare == math.MaxUint64:
			return start{kind: fromEnd}, nil
		case commit != prepare || commit > math.MaxInt64:
			return start{}, eventlog.ErrInvalidPosition
		}
		return start{at: int64(commit)}, nil
	}
	return start{}, invalid("The position to read from is missing.")
}

// deliver sends an event, with its link resolved if that was asked for, as long as the caller may read it. An event that
// only looks like a link is delivered as it is.
func (r *reader) deliver(ctx context.Context, e *eventlog.Event) error {
	if err := r.guard.check(); err != nil {
		return err
	}
	if r.resolveLinks && e.Type == eventlog.TypeLink {
		target, isLink, err := r.log.Follow(ctx, e)
		if err == nil {
			target, err = r.server.readable(ctx, target)
		}
		if err != nil {
			return err
		}
		if isLink {
			return r.sendEvent(encodeEvent(target, e, r.uuidAsString))
		}
	}
	return r.sendEvent(encodeEvent(e, nil, r.uuidAsString))
}
