package embedded

import (
	"context"
	"strings"

	"orderflow/pkg/service"
	"orderflow/services/catalog"
	"orderflow/services/console"
	"orderflow/services/crm"
	"orderflow/services/customer"
	"orderflow/services/dispatch"
	"orderflow/services/order"
	"orderflow/services/packing"
	"orderflow/services/reporting"
)

// part is one service of the system.
type part struct {
	name string
	addr string
	run  func(context.Context, service.Host) error
}

// parts lists the services, in the order in which an order meets them.
func parts() []part {
	return []part{
		{"customer", "127.0.0.1:8081", customer.Run},
		{"catalog", "127.0.0.1:8087", catalog.Run},
		{"order", "127.0.0.1:8082", order.Run},
		{"packing", "127.0.0.1:8083", packing.Run},
		{"dispatch", "127.0.0.1:8084", dispatch.Run},
		{"crm", "127.0.0.1:8085", crm.Run},
		{"reporting", "127.0.0.1:8086", reporting.Run},
		{"console", "127.0.0.1:8080", console.Run},
	}
}

// Names lists the services, in the order in which an order meets them.
func Names() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// DefaultAddrs are the addresses on which the services listen when nothing else is set, by name.
func DefaultAddrs() map[string]string {
	addrs := map[string]string{}
	for _, p := range parts() {
		addrs[p.name] = p.addr
	}
	return addrs
}

// Variable is the name of a setting of one service, such as ORDER_ADDR.
func Variable(service, suffix string) string { return strings.ToUpper(service) + "_" + suffix }
