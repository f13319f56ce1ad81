package sqldb

import (
	"encoding/json"
	"fmt"
	"math/bits"
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

// ByKey returns a statement that selects columns of the rows of a table whose
// key is one of keys, in any order, and its argument. The key is a text, and
// unique. There is one text for any number of keys, and each is looked up by
// the index: of a condition on a list PostgreSQL makes a scan while the table is
// small, and keeps to it, for as long as it has no statistics, when it is not.
func ByKey(d Dialect, columns, table, key string, keys []string) (query string, arg any, err error) {
	if d == Postgres {
		return `SELECT ` + columns + ` FROM unnest(CAST($1 AS TEXT[])) AS wanted (one),
			LATERAL (SELECT * FROM ` + table + ` WHERE ` + key + ` = wanted.one LIMIT 1) AS found`, keys, nil
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return "", nil, fmt.Errorf("keys of %s: %w", table, err)
	}
	return `SELECT ` + columns + ` FROM ` + table + ` WHERE ` + key + ` IN (SELECT value FROM json_each($1))`, string(list), nil
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
