// Package share lets the services of one process use one bus, each as if it
// were alone on it.
//
// The promise. A [Share] does what the bus does, at its speed: calls are passed
// on, so that publishes of several services still go to the disk together. Its
// figures are those of its own service: what that one has published and was
// handed. Adding up the figures of all shares counts nothing twice. What is the
// state of the whole bus, such as that a broker blocks, each share reports.
//
// Closing a share takes nothing from the others: the bus stays open, and whoever
// opened it closes it after the last service.
package share
