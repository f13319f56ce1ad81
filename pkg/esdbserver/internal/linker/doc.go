// Package linker files every event in more places than the stream it was written to, as the system projections of the
// original server do, so that one can read all orders, or all events of a type, without reading everything:
//
//	$ce-<category>        every event of the streams of a category: what precedes the first "-" of their names
//	$et-<type>            every event of a type
//	$bc-<correlation id>  every event whose metadata, if it is JSON, has this text as $correlationId
//	$streams              the first event of every stream
//	$category-<category>  the name of every stream of a category
//
// These streams hold links, events of type $> whose data reads "<revision>@<stream>", which readers may have resolved
// ($category- holds events of type $@ whose data is the name). Links are in the order of what they point to.
//
// # Promises
//
//   - Every event is linked once, and in order, also after kill -9: the links of a page of events and how far the linker
//     has come are written in one transaction.
//   - Links come a moment after the event. Writers never wait for them.
//   - Events written while there was no linker are linked when there is one.
//   - A stream of links may be deleted, truncated or tombstoned like others; a tombstoned one gets no more links, and the
//     others do.
//
// # What is linked
//
// As in the original server, streams whose names begin with "$" have no category, so that the streams of links are not
// filed under one themselves. An event of type $> in an ordinary stream, a user's own link, is filed under the category of
// the stream it is in, as a link to what it points to, and under no type. Tombstones and the metadata event of a deletion
// are not filed by category, type or correlation id; other metadata is, by type. $streams lists every stream, those of
// links and $streams itself included.
package linker
