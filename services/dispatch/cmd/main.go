// Command dispatch runs the dispatch service as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/dispatch"
)

func main() { service.Main(dispatch.Run) }
