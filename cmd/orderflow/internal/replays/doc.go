// Package replays has the services that publish tell one consumer their history, and watches them do it. The services do
// the work, each by itself, and go on whether anybody watches or not.
package replays
