// Package viewers keeps the browsers that look at the console up to date.
//
// The promise: what several browsers look at is asked for once, and only while
// at least one of them looks. Each gets the state as it is when it connects,
// then every change; a browser too slow for that skips to the newest state,
// and never holds up the others. Nothing is left running when the last is gone.
package viewers
