package board

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/services/console/internal/neighbours"
)

const (
	// nameLasts is how long a name is shown before crm is asked again: a customer
	// may have changed it, or asked to be forgotten.
	nameLasts = 30 * time.Second
	// unnamedLasts is how long nobody asks again for a customer crm did not know.
	unnamedLasts = time.Second
	// crmRests is how long crm is left alone after it did not answer.
	crmRests = 5 * time.Second
	// maxNames bounds the memory; beyond it everything is asked anew.
	maxNames = 2000
	// askedAtOnce bounds the questions under way to crm.
	askedAtOnce = 8
)

// Names knows what customers are called, as far as crm says. It is safe for
// concurrent use.
type Names struct {
	services *neighbours.Neighbours

	mu    sync.Mutex
	known map[string]name
	rests time.Time
}

type name struct {
	text  string
	until time.Time
}

// NewNames returns names that are asked of crm.
func NewNames(services *neighbours.Neighbours) *Names {
	return &Names{services: services, known: map[string]name{}}
}

// Known returns the name of a customer, or nothing.
func (n *Names) Known(customerID string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[customerID].text
}

// Learn asks crm for the names of those customers whose name is unknown or old.
// It takes a second at most; without an answer, old names stay.
func (n *Names) Learn(ctx context.Context, customerIDs []string) {
	bounded, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	asking, bounded := errgroup.WithContext(bounded)
	asking.SetLimit(askedAtOnce)
	for _, id := range n.wanted(customerIDs) {
		asking.Go(func() error { return n.ask(bounded, id) })
	}
	if err := asking.Wait(); err != nil && ctx.Err() == nil {
		// Nothing is missing but names, and health says what ails crm.
		n.mu.Lock()
		n.rests = time.Now().Add(crmRests)
		n.mu.Unlock()
	}
}

func (n *Names) wanted(customerIDs []string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if now.Before(n.rests) {
		return nil
	}
	if len(n.known) > maxNames {
		clear(n.known)
	}
	var wanted []string
	asked := map[string]bool{}
	for _, id := range customerIDs {
		if id != "" && !asked[id] && now.After(n.known[id].until) {
			wanted = append(wanted, id)
			asked[id] = true
		}
	}
	return wanted
}

func (n *Names) ask(ctx context.Context, id string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var customer struct {
		Name string `json:"name"`
	}
	err := n.services.Get(ctx, neighbours.CRM, "/customers/"+url.PathEscape(id), &customer)
	if err != nil && !errors.Is(err, neighbours.ErrNotFound) {
		return err
	}
	lasts := nameLasts
	if customer.Name == "" {
		lasts = unnamedLasts
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[id] = name{customer.Name, time.Now().Add(lasts)}
	return nil
}
