// Package forgetting carries out that a customer is forgotten. That they are is
// decided by one event in their stream, and everything else follows from it, so a
// crash at any line ends in forgotten:
//
//	customer-forgotten is committed    the web does that; a repetition finds it and goes on
//	   │                               the web destroys the key before it answers
//	   ▼
//	the log is followed                whoever died before it did: destroyed here, and noted in forgetting
//	   │
//	   ▼
//	its bytes are in no file any more
//	   │
//	   ▼
//	the relay has announced it         what it announced before, in the clear, is on the bus by then
//	   │
//	   ▼
//	copies are looked for, and erased  at once, 5 s and 10 min later: reasons of parked events,
//	                                   events of theirs that nobody had subscribed to, bytes in files
//
// The others erase what they have when they hear customer.events.forgotten.v1.
// Where the checkpoint is put back together with the keys, as from a backup, the
// log is followed from there, and whoever was forgotten since is forgotten again.
package forgetting
