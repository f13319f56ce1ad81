// Command customer runs the customer service as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/customer"
)

func main() { service.Main(customer.Run) }
