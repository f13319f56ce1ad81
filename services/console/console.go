package console

import (
	"context"
	"fmt"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/page"
	"orderflow/services/console/internal/timeline"
	"orderflow/services/console/internal/viewers"
)

// Run is the console, from its settings to its end: it returns nil when ctx
// ends, and an error only when it can never work as it is set up.
func Run(ctx context.Context, host service.Host) error {
	svc, err := service.New("console", "127.0.0.1:8080", host)
	if err != nil {
		return err
	}
	var addresses neighbours.Addresses
	if err := host.Load(&addresses); err != nil {
		return fmt.Errorf("console: %w", err)
	}
	services, err := neighbours.New(addresses)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	defer services.Close()

	names := board.NewNames(services)
	orders := board.NewOrders(services, names)
	reader := timeline.NewReader(services, names)

	page.Serve(svc.Router)
	board.Serve(svc, services, orders)
	reader.Serve(svc)
	viewers.Serve(svc, viewers.NewHub(), viewers.Topics{
		Orders:   orders.Watch,
		Summary:  board.WatchSummary(services),
		Health:   board.WatchHealth(services),
		Timeline: reader.Watch,
	})
	return svc.Run(ctx)
}
