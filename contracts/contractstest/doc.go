// Package contractstest holds a service's events against the contracts.
//
// A service that publishes passes what it makes to [Publishes], an event or more
// of each type; a service that reads takes in all samples of every type it
// subscribes to, which [Reads] returns. Together the two tests show that publisher
// and reader understand each other, without either knowing the other's types.
package contractstest
