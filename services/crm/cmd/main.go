// Command crm runs the crm service as a process of its own.
package main

import (
	"orderflow/pkg/service"
	"orderflow/services/crm"
)

func main() { service.Main(crm.Run) }
