package service

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// Page is a page of a list.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty" doc:"absent on the last page"`
}

// PageQuery is the part of a list's input that every list has.
type PageQuery struct {
	Cursor string `query:"cursor" maxLength:"500" doc:"nextCursor of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

// Cursor writes the key of a page's last row as an opaque cursor.
func Cursor(key ...any) string {
	text, err := json.Marshal(key)
	if err != nil {
		panic(err) // keys are numbers and strings
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// Key reads the cursor back into pointers to the parts of the key, and reports
// whether there was one. Anything that [Cursor] did not write is a problem.
func (q PageQuery) Key(parts ...any) (bool, error) {
	if q.Cursor == "" {
		return false, nil
	}
	bad := badCursor()
	text, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || bytes.Contains(text, []byte(`\u0000`)) { // PostgreSQL's text cannot hold it
		return false, bad
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil || len(raw) != len(parts) {
		return false, bad
	}
	for i, part := range parts {
		if string(raw[i]) == "null" || json.Unmarshal(raw[i], part) != nil {
			return false, bad
		}
	}
	return true, nil
}

func badCursor() *Problem {
	return NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed",
		FieldError{Location: "query.cursor", Message: "not a cursor of this list"})
}

// PageOf cuts limit+1 rows down to a page; key gives the key of its last row.
func PageOf[T any](rows []T, limit int, key func(T) []any) Page[T] {
	if len(rows) <= limit {
		return Page[T]{Items: append([]T{}, rows...)} // [], never null
	}
	rows = rows[:limit]
	return Page[T]{Items: rows, NextCursor: Cursor(key(rows[limit-1])...)}
}
