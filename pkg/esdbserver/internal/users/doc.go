// Package users knows who may log in. Users are kept as the original server keeps them, as events: the last event of the
// stream $user-NAME is the user NAME, and $users lists the names. So they are restored with the events, and an
// administrator changes them by appending.
//
// A password is never stored: only its PBKDF2 hash (HMAC-SHA-512) with a salt of its own. Deriving the hash is slow on
// purpose. So that calls are not, a password that was found right is remembered for as long as the user's stream does not
// change, as a keyed digest that is of no use outside this process. What is remembered is bounded, and so is how much of
// the machine wrong passwords can occupy.
package users
