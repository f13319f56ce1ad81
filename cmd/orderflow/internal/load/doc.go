// Package load measures the system the way its users meet it: over HTTP, from outside.
//
// At a fixed rate, requests are sent when their time has come, whether or not earlier ones have been answered, and a
// request that had to wait for its turn is measured from when it should have been sent: a system that stalls cannot
// make its figures better by holding back the load. With a fixed number of clients, each sends its next order when the
// last one was answered; that shows the most the system takes.
//
// What was answered with 201 is then looked for in the read models, one by one.
package load
