// Command order runs the order service as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/order"
)

func main() { service.Main(order.Run) }
