// Package deadletters is what a person does about events that could not be handled or published: look at them, have them
// tried again, or give them up, in all services of a system at once.
//
// A service that does not answer is told in one line and keeps nobody from the others; the work as a whole has failed
// then, as part of what there is was not seen. Events are tried again oldest first, so that those of one subject arrive
// in the order in which they were meant to.
package deadletters
