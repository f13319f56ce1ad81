// Package reporting is the service that keeps live figures for management.
//
// The promise. The figures are those of the orders that have been heard of,
// exactly: an order is counted once, under what it has come to, whatever order
// its news arrived in and however often. They are shown within a fraction of a
// second, and asking for them costs the same with ten orders and with ten
// million.
//
// It publishes nothing. Package figures holds all of it; this package only puts
// the parts together.
package reporting
