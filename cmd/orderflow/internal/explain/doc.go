// Package explain tells the whole story of one order, as all services know it:
// the requests, what was committed and where in the log, what was announced, who
// received it after how many attempts, which rows and mails came of it. Each line
// says how long it took, and what of that was waiting; below stands what has not
// happened yet, from whom it is awaited, and what a person can do about what is
// stuck.
package explain
