package acl

import "slices"

// Names with a meaning of their own in access control lists.
const (
	// Everyone in a list admits every user.
	Everyone = "$all"
	// Admins is the group that may do everything.
	Admins = "$admins"
	// Operators is the group that runs the server: it manages subscriptions, but has no special right to any stream.
	Operators = "$ops"
)

// User is who calls. The zero value is a caller without credentials.
type User struct {
	Name   string
	Groups []string
}

// Anonymous reports whether the caller has not said who it is.
func (u User) Anonymous() bool { return u.Name == "" }

// In reports whether the user belongs to a group. Everybody is alone in a group of the same name as the user.
func (u User) In(group string) bool {
	return !u.Anonymous() && (u.Name == group || slices.Contains(u.Groups, group))
}

// admitted reports whether one of the names in a list means the user.
func (u User) admitted(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return name == Everyone || u.In(name) })
}
