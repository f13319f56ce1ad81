// Command reporting runs the reporting service as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/reporting"
)

func main() { service.Main(reporting.Run) }
