// Package board gathers what the front of the console shows: the newest orders,
// the figures of management, and whether every service works.
//
// The promise: what cannot be had is named, and never hides the rest. The last
// orders and figures seen stay, beside the reason why there are no newer ones.
package board
