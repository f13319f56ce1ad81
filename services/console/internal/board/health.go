package board

import (
	"context"
	"net/http"
	"sync"
	"time"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/viewers"
)

// How a service is.
const (
	Ready       = "ready"
	NotReady    = "not-ready"
	Unreachable = "unreachable"
)

// ServiceHealth is how one service is.
type ServiceHealth struct {
	Service string `json:"service"`
	Port    string `json:"port" doc:"where people reach it"`
	State   string `json:"state" enum:"ready,not-ready,unreachable"`
	// Problem is why it is not ready.
	Problem string `json:"problem,omitempty"`
	// Failing are the checks of a service that is not ready.
	Failing []service.CheckResult `json:"failing,omitempty"`
	// DeadLetters is how many events wait for a person; absent when unknown.
	DeadLetters *int `json:"deadLetters,omitempty"`
	// MoreDeadLetters says that DeadLetters is only the first page of them.
	MoreDeadLetters bool `json:"moreDeadLetters,omitempty"`
}

// Health is how every service is.
type Health struct {
	Services []ServiceHealth `json:"services"`
}

// ReadHealth asks every service at once, and takes as long as the slowest.
func ReadHealth(ctx context.Context, services *neighbours.Neighbours) Health {
	health := Health{Services: make([]ServiceHealth, len(neighbours.Names()))}
	var asked sync.WaitGroup
	for i, name := range neighbours.Names() {
		asked.Go(func() { health.Services[i] = readOne(ctx, services, name) })
	}
	asked.Wait()
	return health
}

func readOne(ctx context.Context, services *neighbours.Neighbours, name string) ServiceHealth {
	health := ServiceHealth{Service: name, Port: services.Port(name), State: Ready}
	var readiness service.Readiness
	err := services.Ask(ctx, name, "/readyz", &readiness, http.StatusOK, http.StatusServiceUnavailable)
	if err != nil {
		health.State, health.Problem = Unreachable, err.Error()
		return health
	}
	for _, check := range readiness.Checks {
		if !check.OK {
			health.Failing = append(health.Failing, check)
		}
	}
	if !readiness.Ready {
		health.State = NotReady
	}
	var letters struct {
		Items      []struct{} `json:"items"`
		NextCursor string     `json:"nextCursor"`
	}
	// A service that is starting does not know yet, which its state says already.
	if services.Get(ctx, name, "/deadletters?limit=100", &letters) == nil {
		count := len(letters.Items)
		health.DeadLetters, health.MoreDeadLetters = &count, letters.NextCursor != ""
	}
	return health
}

// WatchHealth is the health of all services, live.
func WatchHealth(services *neighbours.Neighbours) viewers.Source {
	return viewers.Every(time.Second, 2*time.Second, func(ctx context.Context, emit func(any) bool) bool {
		return emit(ReadHealth(ctx, services))
	})
}
