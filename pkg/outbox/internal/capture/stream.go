package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	// tick is how often the connection looks up from reading.
	tick = 100 * time.Millisecond
	// speak is the longest time without telling the server how far we are; it
	// answers, so that a connection that leads nowhere is noticed.
	speak = 5 * time.Second
	// silence is how long the server may say nothing before it counts as gone.
	silence = 20 * time.Second
)

// Change is one inserted row, or, when Row is nil, the news that everything
// that committed up to End was delivered before.
type Change struct {
	Row [][]byte // the columns asked for, in their text form; nil for NULL
	XID uint32   // the transaction that inserted the row
	End Position
}

// Stream is a running delivery.
type Stream struct {
	conn      *pgconn.PgConn
	changes   chan Change
	confirmed atomic.Uint64
	asked     atomic.Bool
	stop      context.CancelFunc
	done      chan struct{}
	err       error
	decoder   decoder

	said struct { // what was told to the server, and when
		position Position
		at       time.Time
	}
}

// Stream starts delivering the columns of inserted rows, after taking the slot
// from whoever reads it. ctx bounds the start and the delivery. window is how
// many changes may wait to be taken. The caller closes the stream.
func (s *Slot) Stream(ctx context.Context, columns []string, window int) (*Stream, error) {
	starting, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	if err := s.Free(starting); err != nil {
		return nil, err
	}
	config := s.pool.Config().ConnConfig.Config.Copy()
	config.RuntimeParams["replication"] = "database"
	config.RuntimeParams["client_encoding"], config.RuntimeParams["bytea_output"] = "UTF8", "hex"
	conn, err := pgconn.ConnectConfig(starting, config)
	if err == nil {
		err = pglogrepl.StartReplication(starting, conn, s.name, 0, pglogrepl.StartReplicationOptions{
			PluginArgs: []string{"proto_version '1'", "publication_names '" + s.name + "'"},
		})
		if err != nil {
			closeConn(ctx, conn)
		}
	}
	if err != nil {
		if refusal := s.refusal(err); refusal != nil {
			return nil, refusal
		}
		return nil, fmt.Errorf("read replication slot %s: %w", s.name, err)
	}
	running, stop := context.WithCancel(ctx)
	stream := &Stream{
		conn: conn, changes: make(chan Change, window), stop: stop, done: make(chan struct{}),
		decoder: decoder{schema: s.schema, table: s.table, columns: columns},
	}
	go stream.run(running)
	return stream, nil
}

func closeConn(ctx context.Context, conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server notices in any case
}

// Changes delivers; it is closed when the stream has ended, for the reason that
// [Stream.Err] returns then.
func (s *Stream) Changes() <-chan Change { return s.changes }

// Err returns why a stream has ended.
func (s *Stream) Err() error {
	<-s.done
	return s.err
}

// Confirm says that everything up to a position was dealt with for good: the
// server may forget it. Positions are confirmed in the order of their delivery.
func (s *Stream) Confirm(p Position) { s.confirmed.Store(uint64(p)) }

// Hurry asks the server to say how far it is, as a Change without a row.
func (s *Stream) Hurry() { s.asked.Store(true) }

// Close ends the stream, after telling the server what was confirmed.
func (s *Stream) Close() {
	s.stop()
	<-s.done
}

func (s *Stream) run(ctx context.Context) {
	defer close(s.done)
	defer close(s.changes)
	// Reading is given up at once when the stream is closed.
	var setting sync.Mutex
	release := context.AfterFunc(ctx, func() {
		setting.Lock()
		defer setting.Unlock()
		_ = s.conn.Conn().SetReadDeadline(time.Unix(1, 0))
	})
	defer release()
	defer closeConn(ctx, s.conn)
	until := func(at time.Time) {
		setting.Lock()
		defer setting.Unlock()
		if ctx.Err() == nil {
			_ = s.conn.Conn().SetReadDeadline(at)
		}
	}
	s.err = s.read(ctx, until)
	if s.err == nil {
		_ = s.speak(false)
	}
}

// read returns nil when ctx has ended.
func (s *Stream) read(ctx context.Context, until func(time.Time)) error {
	heard := time.Now()
	for ctx.Err() == nil {
		if err := s.report(); err != nil {
			return err
		}
		until(time.Now().Add(tick))
		for ctx.Err() == nil {
			// The deadline is set on the connection: a context would cost a
			// goroutine for each message.
			message, err := s.conn.ReceiveMessage(context.Background())
			var netErr net.Error
			if errors.As(err, &netErr) && netErr.Timeout() {
				break
			}
			if err != nil {
				return fmt.Errorf("read changes: %w", err)
			}
			heard = time.Now()
			waited, err := s.take(ctx, message)
			if err != nil {
				return err
			}
			if waited { // the time of the reader is none of the server's silence
				heard = time.Now()
				break
			}
		}
		if time.Since(heard) > silence {
			return fmt.Errorf("read changes: the server has said nothing for %s", silence)
		}
	}
	return nil
}

// report tells the server what was confirmed, when there is news or it is time.
func (s *Stream) report() error {
	confirmed := Position(s.confirmed.Load())
	late := time.Since(s.said.at) > speak
	asked := s.asked.Swap(false)
	if confirmed == s.said.position && !late && !asked {
		return nil
	}
	return s.speak(late || asked)
}

func (s *Stream) speak(wantAnswer bool) error {
	confirmed := Position(s.confirmed.Load())
	err := pglogrepl.SendStandbyStatusUpdate(context.Background(), s.conn, pglogrepl.StandbyStatusUpdate{
		WALWritePosition: confirmed, ReplyRequested: wantAnswer,
	})
	if err != nil {
		return fmt.Errorf("confirm changes: %w", err)
	}
	s.said.position, s.said.at = confirmed, time.Now()
	return nil
}

// take delivers a message of the server. waited tells that the reader was slow.
func (s *Stream) take(ctx context.Context, message pgproto3.BackendMessage) (waited bool, err error) {
	switch message := message.(type) {
	case *pgproto3.ErrorResponse:
		return false, fmt.Errorf("read changes: %w", pgconn.ErrorResponseToPgError(message))
	case *pgproto3.CopyData:
		change, ok, err := s.decode(message.Data)
		if err != nil {
			return false, fmt.Errorf("read changes: %w", err)
		}
		if !ok {
			return false, nil
		}
		return s.deliver(ctx, change)
	case *pgproto3.CopyDone, *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
		return false, errors.New("read changes: the server has ended the stream")
	}
	return false, nil // notices and settings
}

func (s *Stream) decode(data []byte) (change Change, ok bool, err error) {
	if len(data) == 0 {
		return Change{}, false, errors.New("empty message")
	}
	switch data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		alive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if alive.ReplyRequested {
			s.asked.Store(true)
		}
		// Within a transaction it is no news: its rows are still coming.
		return Change{End: alive.ServerWALEnd}, err == nil && !s.decoder.inside, err
	case pglogrepl.XLogDataByteID:
		log, err := pglogrepl.ParseXLogData(data[1:])
		if err != nil {
			return Change{}, false, err
		}
		return s.decoder.decode(log.WALData)
	}
	return Change{}, false, fmt.Errorf("unknown message %q", data[0])
}

// deliver keeps telling the server that we are here while the reader is slow.
func (s *Stream) deliver(ctx context.Context, change Change) (waited bool, err error) {
	select {
	case s.changes <- change:
		return false, nil
	default:
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case s.changes <- change:
			return true, nil
		case <-ticker.C:
			if err := s.report(); err != nil {
				return true, err
			}
		case <-ctx.Done():
			return true, nil
		}
	}
}
