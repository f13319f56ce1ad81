package acl

import (
	"slices"
	"strings"
)

// Right is what can be done with a stream. That a metadata stream stands for the metadata of another one is known here:
// nobody asks for the rights to metadata by themselves.
type Right int

// The rights to a stream.
const (
	Read Right = iota
	Write
	Delete
)

const (
	systemPrefix     = "$"
	metastreamPrefix = "$$"
)

// Owner names the stream whose list governs stream: for a metadata stream the one it belongs to, otherwise itself.
func Owner(stream string) string {
	for len(stream) > len(metastreamPrefix) && strings.HasPrefix(stream, metastreamPrefix) {
		stream = stream[len(metastreamPrefix):]
	}
	return stream
}

// Allows reports whether the user has a right to stream, when own is the list of the stream's owner.
func (d Defaults) Allows(user User, right Right, stream string, own List) bool {
	if user.In(Admins) {
		return true
	}
	owner := Owner(stream)
	configured, builtIn := d.User, everyone()
	if strings.HasPrefix(owner, systemPrefix) {
		configured, builtIn = d.System, adminsOnly()
		if derived(owner) {
			builtIn = everyoneReads()
		}
	}
	for _, layer := range []List{own, configured, builtIn} {
		if admitted := layer.of(right, owner != stream); admitted != nil {
			return user.admitted(admitted)
		}
	}
	return false
}

// derived reports whether a stream is one of those that the system projections file events in.
func derived(stream string) bool {
	return stream == "$streams" || slices.ContainsFunc([]string{"$ce-", "$et-", "$bc-", "$category-"}, func(prefix string) bool {
		return strings.HasPrefix(stream, prefix)
	})
}

// of is who has a right to a stream, or to its metadata. Deleting a metadata stream would be writing metadata.
func (l List) of(right Right, metadata bool) []string {
	switch {
	case metadata && right == Read:
		return l.MetaRead
	case metadata:
		return l.MetaWrite
	case right == Read:
		return l.Read
	case right == Write:
		return l.Write
	}
	return l.Delete
}
