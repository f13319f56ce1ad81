package eventlog

import (
	"fmt"
	"net/url"
)

// access is what a connection may do.
type access int

const (
	accessWrite     access = iota
	accessRead             // beside the one that writes
	accessReadOnly         // the file is not to be changed, whatever is in its write-ahead log
	accessImmutable        // the file is not to be changed and has no write-ahead log
)

// dataSource is the driver's name for a database file, or for a private one in memory when file is empty.
func dataSource(file string, to access) string {
	pragmas := url.Values{}
	pragma := func(name string, value any) { pragmas.Add("_pragma", fmt.Sprintf("%s(%v)", name, value)) }
	pragma("busy_timeout", 10_000)
	if file == "" {
		pragmas.Set("mode", "memory")
		return "file::memory:?" + pragmas.Encode()
	}
	pragma("cache_size", -32<<10)
	switch to {
	case accessReadOnly:
		pragmas.Set("mode", "ro")
	case accessImmutable:
		pragmas.Set("mode", "ro")
		pragmas.Set("immutable", "1")
	case accessWrite, accessRead:
		// In WAL mode a commit is one write and one fsync at the end of one file; FULL is what makes it durable.
		pragma("journal_mode", "WAL")
		pragma("synchronous", "FULL")
		pragma("wal_autocheckpoint", 1000) // a short WAL is written again and again in the same place, which costs less than growing
		pragma("journal_size_limit", walLimit)
		if to == accessRead {
			pragma("query_only", 1)
		}
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: file, RawQuery: pragmas.Encode()}).String()
}
