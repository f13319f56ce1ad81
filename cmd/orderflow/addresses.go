package main

import (
	"fmt"
	"io"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/embedded"
)

// writeAddresses lists where the services answer.
func writeAddresses(out io.Writer, state datadir.State) {
	for _, name := range embedded.Names() {
		if url := state.URLs[name]; url != "" {
			fmt.Fprintf(out, "  %-11s %s\n", name, url)
		}
	}
	if state.EventStore != "" {
		fmt.Fprintf(out, "  %-11s %s\n", "event store", state.EventStore)
	}
}

// writeFirstSteps gives the reader something to try.
func writeFirstSteps(out io.Writer, state datadir.State) {
	fmt.Fprintf(out, `
Try a first request, which lists a product:
  curl -i %s/products -H 'Content-Type: application/json' \
    -d '{"sku":"tea-250","name":"Green tea, 250 g","price":{"amount":990,"currency":"EUR"}}'
Or let it tell you the story of four orders: make demo
Watch orders live in a browser: %s/
`, state.URLs["catalog"], state.URLs["console"])
}
