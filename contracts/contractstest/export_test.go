package contractstest

// Publishing is what Publishes finds out from the types of events.
var Publishing = publishing
