package eventlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// What a row has of an event beside its place and time is one blob, the record: each column more would cost every read
// and every write again what the event itself costs. In order:
//
//	checksum   4 bytes, CRC-32C over the event's place, its stream's name and the rest of the record
//	previous   8 bytes, position of the event before it in the log, 0 for the first
//	id         16 bytes
//	flags      1 byte, flagJSON
//	type       its length as a varint, and its bytes
//	metadata   the same
//	data       to the end
//
// Disks return other bytes than were written without saying so, and SQLite has no checksums of its own outside its
// write-ahead log.
const (
	recordChecksum = 0
	recordPrevious = 4
	recordID       = 12
	recordFlags    = 28
	recordText     = 29

	flagJSON = 1
)

// appendRecord appends the record of an event to buf, which is empty.
func (e *Event) appendRecord(buf []byte) []byte {
	buf = append(buf, 0, 0, 0, 0)
	buf = binary.BigEndian.AppendUint64(buf, uint64(e.previous))
	buf = append(buf, e.ID[:]...)
	flags := byte(0)
	if e.JSON {
		flags = flagJSON
	}
	buf = append(buf, flags)
	buf = append(binary.AppendUvarint(buf, uint64(len(e.Type))), e.Type...)
	buf = append(binary.AppendUvarint(buf, uint64(len(e.Metadata))), e.Metadata...)
	buf = append(buf, e.Data...)
	binary.BigEndian.PutUint32(buf[recordChecksum:], e.checksum(buf))
	return buf
}

// checksum is that of an event with this record.
func (e *Event) checksum(record []byte) uint32 {
	var room [256]byte
	place := room[:0]
	for _, n := range [...]int64{e.Position, e.Revision, e.Created, int64(len(e.Stream))} {
		place = binary.BigEndian.AppendUint64(place, uint64(n))
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, append(place, e.Stream...))
	return crc32.Update(sum, table, record[recordPrevious:])
}

// parseRecord fills an event, whose place is known, from its record, and checks that it is what was written. The event
// keeps parts of the record. A type that is the same as that of the event before is shared with it.
func (e *Event) parseRecord(record []byte, before *Event) error {
	if len(record) < recordText || e.checksum(record) != binary.BigEndian.Uint32(record[recordChecksum:]) {
		return fmt.Errorf("%w: the event at position %d is not what was written", ErrDamaged, e.Position)
	}
	e.previous = int64(binary.BigEndian.Uint64(record[recordPrevious:]))
	copy(e.ID[:], record[recordID:])
	e.JSON = record[recordFlags]&flagJSON != 0
	typ, rest, ok := cutText(record[recordText:])
	if ok {
		e.Metadata, e.Data, ok = cutText(rest)
	}
	if !ok {
		return fmt.Errorf("%w: the event at position %d ends early", ErrDamaged, e.Position)
	}
	if before != nil && before.Type == string(typ) {
		e.Type = before.Type
	} else {
		e.Type = string(typ)
	}
	return nil
}

// cutText takes bytes with their length in front from the beginning of b.
func cutText(b []byte) (text, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	b = b[n:]
	return b[:length:length], b[length:], true
}
