// Package demo tells the story of a few orders, as the services that saw them tell it: one that is packed and
// dispatched, one that packing rejects, one that its customer cancels, and, where deadlines are short, one that nobody
// packs.
//
// Every sentence is printed after what it says has been seen over HTTP; a step that does not happen in time ends the
// story with an error that names it.
package demo
