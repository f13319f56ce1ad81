package sqldb

import (
	"math/bits"
	"slices"
	"strconv"
)

// Values returns the placeholders of a VALUES clause: Values(2, 3) is
// "($1, $2, $3), ($4, $5, $6)". SQLite takes at most 32,766 of them in one
// statement, PostgreSQL 65,535.
func Values(rows, columns int) string {
	text := make([]byte, 0, rows*columns*7)
	n := 0
	for row := range rows {
		if row > 0 {
			text = append(text, ", "...)
		}
		text, n = appendList(text, n, columns)
	}
	return string(text)
}

// QueueRows queues statements that insert many rows: insert, a VALUES clause for
// all of args, then, such as an ON CONFLICT clause. The rows are divided into
// pieces of 1, 2, 4, ... up to 256, so that the database meets the same few
// texts, which it parses once, instead of one for each number of rows.
func QueueRows(tx Tx, insert string, columns int, args []any, then string) {
	for len(args) > 0 {
		rows := min(1<<(bits.Len(uint(len(args)/columns))-1), mostRows)
		tx.Queue(insert+" VALUES "+Values(rows, columns)+" "+then, args[:rows*columns]...)
		args = args[rows*columns:]
	}
}

// mostRows keeps a statement of a hundred columns within what databases take.
const mostRows = 256

// List returns the placeholders of an IN clause: List(2, 3) is "($2, $3, $4)".
// One of no members is "(NULL)", which nothing is in.
func List(first, members int) string {
	if members == 0 {
		return "(NULL)"
	}
	text, _ := appendList(nil, first-1, members)
	return string(text)
}

// Among returns the list of an IN clause for any number of members, and the
// arguments for it. The last member is repeated up to the next power of two, so
// that the database meets the same few texts, which it parses once.
func Among(first int, members []any) (list string, args []any) {
	if len(members) == 0 {
		return List(first, 0), nil
	}
	args = slices.Clone(members)
	for len(args)&(len(args)-1) != 0 {
		args = append(args, members[len(members)-1])
	}
	return List(first, len(args)), args
}

func appendList(text []byte, n, members int) ([]byte, int) {
	text = append(text, '(')
	for i := range members {
		if i > 0 {
			text = append(text, ", "...)
		}
		n++
		text = append(text, '$')
		text = strconv.AppendInt(text, int64(n), 10)
	}
	return append(text, ')'), n
}
