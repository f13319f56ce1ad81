// Command packing runs the packing service as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/packing"
)

func main() { service.Main(packing.Run) }
