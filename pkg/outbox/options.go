package outbox

import (
	"cmp"
	"fmt"
	"os"
	"time"
)

// Reader is a way to learn what was committed to the table.
type Reader string

// The two readers. The table is the truth for both: either can take over from
// the other at any time, and loses nothing.
const (
	// Polling asks the table, when woken and every [Options.Poll].
	Polling Reader = "poll"
	// Capture is change data capture: PostgreSQL sends the rows as they commit,
	// by logical replication.
	Capture Reader = "cdc"
)

// UnmarshalText reads "poll" or "cdc".
func (r *Reader) UnmarshalText(text []byte) error {
	switch reader := Reader(text); reader {
	case Polling, Capture:
		*r = reader
		return nil
	}
	return fmt.Errorf("%q is neither %s nor %s", text, Polling, Capture)
}

// Options tune an [Outbox]. The zero value is right for a service.
type Options struct {
	// Reader is how the table is read; the default is [Polling].
	Reader Reader
	// Holder says in the table of leases which process publishes; the default is
	// the name of the host and the number of the process.
	Holder string
	// Window is the most rows published at once; the default is 500, the limit 10,000.
	// Up to three windows are in memory: one read, one published, one marked.
	Window int
	// Poll is how often the table is looked at without being woken; the default
	// is 200 ms.
	Poll time.Duration
	// MaxPause is the longest pause between attempts while the bus does not
	// work; the default is 30 s.
	MaxPause time.Duration
	// PublishTimeout bounds one attempt to publish a window; the default is 30 s.
	PublishTimeout time.Duration
	// StatementTimeout bounds what is asked of the database; the default is
	// 10 s. It is how long a connection that leads nowhere stays unnoticed.
	StatementTimeout time.Duration
	// LeaseTTL is how long publishing stands still after the active process was
	// killed; the default is 5 s.
	LeaseTTL time.Duration
	// Retention is how long rows that were sent stay: they are the history that
	// [Outbox.History] gives, and what [Outbox.Trace] shows. The default, 0, is
	// for ever.
	Retention time.Duration

	// Slot names the replication slot and the publication of [Capture]; the
	// default is made of the names of database, schema and table. Slots share
	// one name space in the whole server.
	Slot string
	// SlotEvery is how often the slot is looked at; the default is 10 s.
	SlotEvery time.Duration
	// SlotWarn is how many bytes of log the server may keep for the slot before
	// [Outbox.Ready] speaks of it; the default is 1 GiB.
	SlotWarn int64
	// SlotMax is how many bytes of log the server may keep for the slot before
	// the publisher drops it, goes on by polling, and makes a new one; the
	// default is 4 GiB, and negative means never.
	SlotMax int64
	// SlotGrace is how long a slot that nobody reads is left alone when the
	// reader is [Polling], as after a change of the setting, before the
	// publisher drops it; the default is one minute, and negative means for ever.
	SlotGrace time.Duration
}

func (o Options) withDefaults() Options {
	host, _ := os.Hostname() // a nameless host is shown without
	o.Reader = cmp.Or(o.Reader, Polling)
	o.Holder = cmp.Or(o.Holder, fmt.Sprintf("%s/%d", host, os.Getpid()))
	o.Window = min(cmp.Or(o.Window, 500), 10_000)
	o.Poll = cmp.Or(o.Poll, 200*time.Millisecond)
	o.MaxPause = cmp.Or(o.MaxPause, 30*time.Second)
	o.PublishTimeout = cmp.Or(o.PublishTimeout, 30*time.Second)
	o.StatementTimeout = cmp.Or(o.StatementTimeout, 10*time.Second)
	o.LeaseTTL = cmp.Or(o.LeaseTTL, 5*time.Second)
	o.SlotEvery = cmp.Or(o.SlotEvery, 10*time.Second)
	o.SlotWarn = cmp.Or(o.SlotWarn, 1<<30)
	o.SlotMax = cmp.Or(o.SlotMax, 4<<30)
	o.SlotGrace = cmp.Or(o.SlotGrace, time.Minute)
	return o
}
