// Package acl decides who may do what with a stream. It is pure: what the lists say comes in as bytes of JSON, and nothing
// is read or remembered here.
//
// Three layers answer, right by right, and the first that says something about a right decides: the access control list in
// the metadata of the stream itself, the default list for its kind in the stream $settings, and what is built in. Built in
// is that everybody may do everything with ordinary streams, and that streams whose name begins with $ belong to the
// administrators, except that everybody may read those of the system projections ($ce-, $et- and such): what they show are
// links, which give no rights to what they point to. The original server puts that into the metadata of each such stream
// when its first link is written.
//
// Members of $admins may do everything always. The rights to a stream say nothing about its metadata, nor the other way
// around: $mr and $mw are rights of their own.
package acl
