// Package handover gives batches to handlers the way every bus promises it: a
// handler that fails or panics gets the same batch again after a growing delay,
// and a subscription that closes lets the running handler finish.
//
// Holding the batch and asking again, rather than returning it to the broker,
// keeps the order, and keeps a consumer whose database is down for an hour from
// using up the number of returns a broker allows a message.
package handover
