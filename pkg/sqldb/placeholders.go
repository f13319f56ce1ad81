package sqldb

import "strconv"

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

// List returns the placeholders of an IN clause: List(2, 3) is "($2, $3, $4)".
// One of no members is "(NULL)", which nothing is in.
func List(first, members int) string {
	if members == 0 {
		return "(NULL)"
	}
	text, _ := appendList(nil, first-1, members)
	return string(text)
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
