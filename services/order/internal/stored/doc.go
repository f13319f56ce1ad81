// Package stored is the form in which the events of orders are kept in the event
// store. What is written here is readable for ever: a version is never changed,
// only added.
package stored
