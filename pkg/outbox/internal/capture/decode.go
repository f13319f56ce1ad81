package capture

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pglogrepl"
)

// decoder turns messages of pgoutput, version 1 of its protocol, into changes:
// the server sends a transaction only once it has committed.
type decoder struct {
	schema, table string
	columns       []string

	inside   bool // a transaction
	xid      uint32
	relation uint32
	places   []int // of each column asked for, in the server's rows
}

func (d *decoder) decode(data []byte) (change Change, ok bool, err error) {
	if len(data) == 0 {
		return Change{}, false, errors.New("empty change")
	}
	switch pglogrepl.MessageType(data[0]) { //nolint:exhaustive // types, origins and the like are nothing that was asked for
	case pglogrepl.MessageTypeBegin:
		var begin pglogrepl.BeginMessage
		err := begin.Decode(data[1:])
		d.inside, d.xid = true, begin.Xid
		return Change{}, false, err
	case pglogrepl.MessageTypeCommit:
		var commit pglogrepl.CommitMessage
		err := commit.Decode(data[1:])
		d.inside = false
		return Change{End: commit.TransactionEndLSN}, err == nil, err
	case pglogrepl.MessageTypeRelation:
		var relation pglogrepl.RelationMessage
		if err := relation.Decode(data[1:]); err != nil {
			return Change{}, false, err
		}
		return Change{}, false, d.learn(&relation)
	case pglogrepl.MessageTypeInsert:
		row, err := d.insert(data[1:])
		return Change{Row: row, XID: d.xid}, err == nil, err
	}
	return Change{}, false, nil
}

// learn notes where the columns are: a migration can move and add some.
func (d *decoder) learn(relation *pglogrepl.RelationMessage) error {
	if relation.Namespace != d.schema || relation.RelationName != d.table {
		return fmt.Errorf("the publication covers %s.%s too, want %s.%s alone", relation.Namespace, relation.RelationName, d.schema, d.table)
	}
	places := make(map[string]int, len(relation.Columns))
	for i, column := range relation.Columns {
		places[column.Name] = i
	}
	d.relation, d.places = relation.RelationID, make([]int, len(d.columns))
	for i, name := range d.columns {
		place, ok := places[name]
		if !ok {
			return fmt.Errorf("%s.%s has no column %s", d.schema, d.table, name)
		}
		d.places[i] = place
	}
	return nil
}

var errShort = errors.New("an inserted row is cut short")

// insert reads the row where it is: values point into one copy of the message.
// See "Logical Replication Message Formats" in the manual of PostgreSQL.
func (d *decoder) insert(message []byte) ([][]byte, error) {
	if len(message) < 7 || message[4] != 'N' {
		return nil, errShort
	}
	if relation := binary.BigEndian.Uint32(message); relation != d.relation {
		return nil, fmt.Errorf("a row of the unknown table %d", relation)
	}
	values := make([][]byte, binary.BigEndian.Uint16(message[5:]))
	rest := append([]byte(nil), message[7:]...) // the connection uses its buffer again
	for i := range values {
		if len(rest) == 0 {
			return nil, errShort
		}
		kind := rest[0]
		rest = rest[1:]
		switch kind {
		case pglogrepl.TupleDataTypeNull:
		case pglogrepl.TupleDataTypeText:
			if len(rest) < 4 {
				return nil, errShort
			}
			length := uint64(binary.BigEndian.Uint32(rest))
			if rest = rest[4:]; uint64(len(rest)) < length {
				return nil, errShort
			}
			values[i], rest = rest[:length:length], rest[length:]
		default:
			return nil, fmt.Errorf("a value of the kind %q", kind)
		}
	}
	row := make([][]byte, len(d.places))
	for i, place := range d.places {
		if place >= len(values) {
			return nil, errShort
		}
		row[i] = values[place]
	}
	return row, nil
}
