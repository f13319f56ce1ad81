// Package timeline shows the way of one order through the services, as package
// journey puts it together: asked once, or live.
//
// A service that does not answer is named; the others' part is shown without it.
package timeline
