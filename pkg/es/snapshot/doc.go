// Package snapshot keeps the snapshots of package es in a table of the
// service's own database.
//
// The promise. What comes back is what was saved, or it is said to be damaged:
// each row carries a checksum of all that is in it. Rows may be deleted at any
// time, all or some; they are taken anew. A row is one stream's newest snapshot,
// so the table grows with the number of long streams, and by four bytes for each
// of their events.
package snapshot
