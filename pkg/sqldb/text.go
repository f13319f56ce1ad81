package sqldb

import "strings"

// Text returns s as both databases can store it: PostgreSQL refuses invalid
// UTF-8 and NUL, which become U+FFFD. For texts that come from elsewhere, such as
// the reason of an error; what people typed is refused at the door instead.
func Text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
