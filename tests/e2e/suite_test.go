package e2e

import (
	"os"
	"testing"
)

// script is a test of the suite.
type script struct {
	name string
	play func(*world)
	// separate says that the script needs the services to be processes of
	// their own.
	separate bool
}

// together are scripts that do not mind what others do to the same system at
// the same time.
var together = []script{
	{name: "an order goes all the way and every service shows it", play: orderGoesAllTheWay},
	{name: "an order that packing rejects is cancelled", play: rejectedOrderIsCancelled},
	{name: "an order can be cancelled while it is placed", play: placedOrderCanBeCancelled},
	{name: "an order can be cancelled while it is packed and its shipment is dropped", play: packedOrderCanBeCancelled},
	{name: "an order that was dispatched cannot be cancelled", play: dispatchedOrderCannotBeCancelled},
	{name: "a deactivated customer cannot order", play: deactivatedCustomerCannotOrder},
	{name: "an order keeps the price it was placed at", play: orderKeepsItsPrice},
	{name: "a parcel goes where the customer lives when it leaves", play: parcelFollowsTheCustomer},
	{name: "the same call with the same key places one order", play: sameKeySameOrder},
	{name: "sixteen calls at once with the same key place one order", play: sameKeyAtOnce},
	{name: "a change that rests on an old version is refused", play: staleChangeIsRefused},
	{name: "whoever watches sees the figures change", play: figuresAreLive},
	{name: "lists have an order and end", play: listsHaveAnOrderAndEnd},
	{name: "whoever changes something can read it everywhere", play: whoeverWritesReadsIt},
	{name: "every command and every read of a projection is conditional", play: everyCommandAndReadIsConditional},
	{name: "what is not valid is refused, named, and not stored", play: invalidRequestsAreRefused},
	{name: "every service can be operated", play: everyServiceCanBeOperated},
	{name: "a poison event waits for a person and holds up nobody", play: poisonWaitsForAPerson},
	{name: "an event that a mistake refuses is redriven when the mistake is mended", play: mendedMistakeIsRedriven},
}

// alone are scripts that stop and kill, one after the other.
var alone = []script{
	{name: "a service that was stopped catches up", play: stoppedServiceCatchesUp, separate: true},
	{name: "a service that is added is told what was announced", play: addedServiceIsTold},
	{name: "read models are made anew while orders are placed", play: readModelsAreRebuilt},
	{name: "whoever is forgotten is in no file and no table", play: forgottenIsNowhere},
	{name: "the whole system stops in good order and goes on", play: stoppedSystemGoesOn},
	{name: "nothing is lost and nothing happens twice when everything is killed", play: killedSystemLosesNothing},
	{name: "nothing is lost and nothing happens twice when one after the other is killed", play: killedProcessLosesNothing, separate: true},
	{name: "orders are taken without a broker and arrive when it is back", play: stoppedBrokerLosesNothing, separate: true},
	{name: "people who could not hear of each other are brought together", play: racesAreCompensated, separate: true},
	{name: "queues that somebody has deleted come back", play: deletedQueuesComeBack, separate: true},
}

// suite plays all scripts in one running system.
func suite(t *testing.T, s *system) {
	w := newWorld(t, s)
	t.Run("together", func(t *testing.T) {
		for _, script := range together {
			t.Run(script.name, func(t *testing.T) {
				t.Parallel()
				script.play(w.in(t))
			})
		}
	})
	for _, script := range alone {
		if script.separate && !s.separate {
			continue
		}
		t.Run(script.name, func(t *testing.T) { script.play(w.in(t)) })
	}
	t.Run("in the end everything adds up", func(t *testing.T) {
		w.in(t).AddsUp()
		w.in(t).Verifies()
	})
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	suite(t, embedded(t))
}

func TestSeparateProcesses(t *testing.T) {
	t.Parallel()
	suite(t, separateProcesses(t, realServers(t)))
}

func TestSeparateProcessesOnEmbeddedServers(t *testing.T) {
	if !long() {
		t.Skip("TEST_LONG=1 runs it")
	}
	t.Parallel()
	dir := t.TempDir()
	suite(t, separateProcesses(t, servers{
		bus:      "sqlite://" + dir + "/bus.db",
		database: func(service string) string { return "sqlite://" + dir + "/" + service + ".db" },
	}))
}

// long reports whether tests may take minutes.
func long() bool { return os.Getenv("TEST_LONG") == "1" }
