package eventlog

import (
	"errors"
	"fmt"
	"net/url"
)

// lockName is the file whose lock says that a data directory is in use. It stays empty.
const lockName = "eventlog.lock"

// lockFile takes the exclusive lock that keeps a second server away from a data directory, and returns how to give it
// back. The lock is SQLite's own on an empty database: it works alike on every system, between processes and within one,
// and the operating system drops it when the process dies.
func lockFile(path string) (release func() error, err error) {
	source := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "_pragma=busy_timeout(0)"}
	c, err := connect(source.String())
	if err != nil {
		return nil, err
	}
	if err := c.script("BEGIN EXCLUSIVE"); err != nil {
		return nil, errors.Join(fmt.Errorf("another server uses it (%w)", err), c.close())
	}
	return c.close, nil
}
