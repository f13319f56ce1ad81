package faultproxy

import "go.uber.org/goleak"

// Leaks are the goroutines that a proxy can leave behind, for goleak: toxiproxy
// waits for ever to pass on what was on its way when the other side had closed.
// What is ignored belongs to a proxy and to nothing else; goroutines of the code
// under test are still found.
func Leaks() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
	}
}
