// Package vault keeps one key per customer and encrypts their personal data with
// it, so that the event store, whose events are for ever, holds nothing that can
// be read once the key is gone.
//
// The promise. Sealed data can be opened only with the customer's key, only for
// that customer, and only in the place it was sealed for: moved to another event
// type or customer it does not open (AES-256-GCM, with both as additional data).
// The keys live in the service's database and nowhere else.
//
// A key that was destroyed leaves its row behind, without the key. So no process
// makes another one for the same customer, and "was destroyed" (ErrForgotten,
// which is how it should be) is never taken for "is missing" (ErrNoKey, which is
// a disaster) or for "cannot be read now" (ErrUnavailable, which passes). A
// process that has the key in memory forgets it within [KeyLife].
package vault
