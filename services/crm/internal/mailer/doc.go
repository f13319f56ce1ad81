// Package mailer sends the mails that are queued, over SMTP (RFC 5321).
//
// The promise. A queued mail is sent at least once, and once in normal
// operation: one process sends at a time, and notes each mail as soon as the
// server took it. Only a mail whose fate nobody knows, because the connection or
// the process ended between its last byte and the note, is sent again, under the
// same Message-ID (RFC 5322, 3.6.4), by which mail programs and people recognise
// it.
//
// What becomes of an attempt:
//
//	the server takes it                               sent
//	5xx: it never will; or the mail cannot be written failed
//	4xx, or the connection ended in the middle        again after a growing delay;
//	                                                  failed after Options.MaxAttempts
//	no connection, no login, 421: not the mail's      no attempt counted; the sender pauses
//	fault                                             and [Sender.Ready] says why
//
// How to read it: settings.go has the server, message.go what goes over the
// wire, session.go a conversation, sender.go the loop.
package mailer
