package es

import (
	"errors"
	"net/url"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// errMalformed is all that may be said of a connection string whose parts
// cannot be told apart: any of them may be the password.
var errMalformed = errors.New(
	"it reads esdb://user:password@host:port?tls=true, with a number for the port, and with %XX for special characters in user and password",
)

// parseConnectionString reads a connection string. Its errors do not repeat
// credentials, not even wrongly written ones.
func parseConnectionString(connectionString string) (*esdb.Configuration, error) {
	if strings.Contains(connectionString, "@") {
		parsed, err := url.Parse(connectionString)
		if err != nil && !strings.Contains(connectionString, ",") || err == nil && misplaced(parsed) {
			return nil, errMalformed
		}
	}
	config, err := esdb.ParseConnectionString(connectionString)
	if invalid := (*url.Error)(nil); errors.As(err, &invalid) {
		err = invalid.Err // without the string itself
		if strings.Contains(connectionString, "@") {
			err = errMalformed
		}
	}
	if err == nil {
		err = config.Validate()
	}
	return config, err
}

// misplaced reports whether the @ behind credentials has come to stand outside
// of them: one of /, ? and # in a password ends what is read as the host.
func misplaced(u *url.URL) bool {
	if u.User != nil {
		return false
	}
	key, _, _ := strings.Cut(u.RawQuery, "=")
	return strings.Contains(u.Opaque+u.Path+u.Fragment+key, "@")
}

// Redacted is a connection string as it may be shown: without its password.
func Redacted(connectionString string) string {
	if parsed, err := url.Parse(connectionString); err == nil && !misplaced(parsed) {
		return parsed.Redacted()
	}
	scheme, rest, found := strings.Cut(connectionString, "://")
	if !found {
		scheme, rest = "esdb", connectionString
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		return scheme + "://xxxxx" + rest[at:]
	}
	return connectionString
}
