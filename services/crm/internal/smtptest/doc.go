// Package smtptest is a small mail server for tests. It speaks enough of SMTP
// (RFC 5321) to take mails, records them, and misbehaves as it is told: it can
// refuse at any step, and hang up at any step.
package smtptest
