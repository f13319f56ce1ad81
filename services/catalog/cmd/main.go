// Command catalog runs the catalog service as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/catalog"
)

func main() { service.Main(catalog.Run) }
