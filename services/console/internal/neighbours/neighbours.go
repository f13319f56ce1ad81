package neighbours

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"orderflow/pkg/service"
)

// The services, by the names they have everywhere.
const (
	Customer  = "customer"
	Catalog   = "catalog"
	Order     = "order"
	Packing   = "packing"
	Dispatch  = "dispatch"
	CRM       = "crm"
	Reporting = "reporting"
)

// Names lists the services in the order in which work passes through them.
func Names() []string {
	return []string{Customer, Catalog, Order, Packing, Dispatch, CRM, Reporting}
}

// Timeout bounds one question.
const Timeout = 2 * time.Second

// Addresses are the settings: where each service is reached.
type Addresses struct {
	Customer  string `env:"CUSTOMER_URL" envDefault:"http://127.0.0.1:8081"`
	Order     string `env:"ORDER_URL" envDefault:"http://127.0.0.1:8082"`
	Packing   string `env:"PACKING_URL" envDefault:"http://127.0.0.1:8083"`
	Dispatch  string `env:"DISPATCH_URL" envDefault:"http://127.0.0.1:8084"`
	CRM       string `env:"CRM_URL" envDefault:"http://127.0.0.1:8085"`
	Reporting string `env:"REPORTING_URL" envDefault:"http://127.0.0.1:8086"`
	Catalog   string `env:"CATALOG_URL" envDefault:"http://127.0.0.1:8087"`
}

// Neighbours are the services that can be asked. It is safe for concurrent use.
type Neighbours struct {
	addresses map[string]*url.URL
	client    *http.Client
}

// New returns the neighbours at the addresses given. An address that is no
// absolute http or https URL is a [service.ErrSettings] that names the variable.
func New(a Addresses) (*Neighbours, error) {
	given := map[string]string{
		Customer: a.Customer, Catalog: a.Catalog, Order: a.Order, Packing: a.Packing,
		Dispatch: a.Dispatch, CRM: a.CRM, Reporting: a.Reporting,
	}
	n := &Neighbours{addresses: map[string]*url.URL{}}
	for _, name := range Names() {
		address, err := url.Parse(given[name])
		if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "" {
			return nil, fmt.Errorf("%w: %s_URL: not an absolute http URL", service.ErrSettings, strings.ToUpper(name))
		}
		n.addresses[name] = address
	}
	n.client = &http.Client{
		// Asked only on the system's own network: no proxy in between.
		Transport:     &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: Timeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return n, nil
}

// Port returns the port a service is reached at; the page shows it in the
// requests it proposes.
func (n *Neighbours) Port(name string) string {
	address := n.addresses[name]
	switch {
	case address.Port() != "":
		return address.Port()
	case address.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// Close gives idle connections back.
func (n *Neighbours) Close() { n.client.CloseIdleConnections() }
