// Package copies keeps what an order needs to know of other services: which
// customers there are, and what products cost. It is written from their events
// and asked instead of them, so that orders are taken while they are away.
//
// Events arrive in any order. A price counts only if its sequence is higher than
// that of the price at hand; a product without its name, or a customer of whom
// only the deactivation is known, is not there yet.
package copies
