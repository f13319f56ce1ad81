// Command console runs the console as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/console"
)

func main() { service.Main(console.Run) }
