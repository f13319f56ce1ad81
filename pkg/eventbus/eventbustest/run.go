package eventbustest

import (
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/eventbus"
)

// Harness is one isolated bus, empty and removed with the test.
type Harness struct {
	// Open connects to the bus as another process would. The suite closes what
	// it opened.
	Open func(t testing.TB) eventbus.Bus
	// Interrupt breaks what the open buses are connected by, or takes it away
	// for a moment. They must recover by themselves.
	Interrupt func(t testing.TB)
	// OrderSurvives says that the bus keeps the order of a subject also when its
	// consumer closes with work on its way and another takes over, and when what
	// connects the bus is interrupted. Brokers promise that only for a consumer
	// that stays.
	OrderSurvives bool
	// Inject puts a message on the bus, past Publish, that has this type and
	// body and is no valid envelope.
	Inject func(t testing.TB, typ string, body []byte)
}

// Run runs the suite. start is called once for each test.
func Run(t *testing.T, start func(t *testing.T) Harness) {
	for _, group := range [...][]promise{
		delivering(), routing(), failing(), ending(), storing(), publishing(), consuming(), interrupting(), ordering(), varying(), sending(),
		erasing(),
	} {
		for _, p := range group {
			t.Run(p.name, func(t *testing.T) {
				before := goleak.IgnoreCurrent()
				t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs last
				p.test(t, start(t))
			})
		}
	}
}

// promise is one test of the suite.
type promise struct {
	name string
	test func(t *testing.T, h Harness)
}
