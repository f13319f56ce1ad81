package embedded

import (
	"path/filepath"
	"strings"
	"testing"

	"orderflow/cmd/orderflow/internal/datadir"
)

// settings are free ports for everything, and what a test adds.
func settings(more map[string]string) map[string]string {
	environ := map[string]string{"EVENTSTORE_ADDR": "127.0.0.1:0"}
	for _, name := range Names() {
		environ[Variable(name, "ADDR")] = "127.0.0.1:0"
	}
	for name, value := range more {
		environ[name] = value
	}
	return environ
}

func newPlan(t *testing.T, more map[string]string) (Plan, map[string]map[string]string) {
	t.Helper()
	plan, err := NewPlan(t.Context(), datadir.New(filepath.Join("x", "data"), Names()), settings(more))
	if err != nil {
		t.Fatal(err)
	}
	environs := map[string]map[string]string{}
	for _, s := range plan.services {
		environs[s.name] = s.environ
	}
	return plan, environs
}

func TestEveryServiceHasAnAddressAndADatabaseOfItsOwn(t *testing.T) {
	plan, environs := newPlan(t, nil)
	for _, variable := range []string{"HTTP_ADDR", "DATABASE_URL"} {
		seen := map[string]string{}
		for name, environ := range environs {
			value := environ[variable]
			if other, taken := seen[value]; taken || value == "" || strings.HasSuffix(value, ":0") {
				t.Errorf("%s of %s is %q, as of %q", variable, name, value, other)
			}
			seen[value] = name
		}
	}
	if got := environs["order"]["DATABASE_URL"]; got != "sqlite://x/data/order.db" {
		t.Errorf("order's database is %s", got)
	}
	if got := environs["crm"]["EVENTBUS_URL"]; got != "sqlite://x/data/bus.db" {
		t.Errorf("crm's bus is %s", got)
	}
	for name, environ := range environs {
		if environ["EVENTSTORE_URL"] != plan.EventStoreURL || !strings.HasPrefix(plan.EventStoreURL, "esdb://127.0.0.1:") {
			t.Errorf("%s uses the event store %s", name, environ["EVENTSTORE_URL"])
		}
		if "http://"+environ["HTTP_ADDR"] != plan.URLs[name] {
			t.Errorf("%s listens on %s and is said to be at %s", name, environ["HTTP_ADDR"], plan.URLs[name])
		}
	}
	for name, url := range plan.URLs {
		if got := environs["console"][Variable(name, "URL")]; got != url {
			t.Errorf("the console looks for %s at %q", name, got)
		}
	}
}

func TestWhatIsSetIsUsed(t *testing.T) {
	plan, environs := newPlan(t, map[string]string{
		"EVENTSTORE_URL":     "esdb://elsewhere:2113?tls=false",
		"EVENTBUS_URL":       "amqp://elsewhere/",
		"DATABASE_URL":       "sqlite://one-for-all.db",
		"DATABASE_URL_ORDER": "postgres://elsewhere/order",
		"ORDER_URL":          "http://proxy/order",
		"SMTP_URL":           "smtp://mail",
		"CRM_ADDR":           "0.0.0.0:0",
	})
	for what, pair := range map[string][2]string{
		"event store":           {environs["order"]["EVENTSTORE_URL"], "esdb://elsewhere:2113?tls=false"},
		"event bus":             {environs["order"]["EVENTBUS_URL"], "amqp://elsewhere/"},
		"database":              {environs["order"]["DATABASE_URL"], "postgres://elsewhere/order"},
		"database of another":   {environs["crm"]["DATABASE_URL"], "sqlite://x/data/crm.db"},
		"address for callers":   {environs["console"]["ORDER_URL"], "http://proxy/order"},
		"anything else":         {environs["crm"]["SMTP_URL"], "smtp://mail"},
		"embedded event store":  {plan.eventStoreAddr, ""},
		"host of any interface": {plan.URLs["crm"][:len("http://127.0.0.1:")], "http://127.0.0.1:"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
}

func TestOneServiceCannotChangeTheSettingsOfAnother(t *testing.T) {
	_, environs := newPlan(t, nil)
	environs["order"]["LOG_LEVEL"] = "DEBUG"
	if environs["crm"]["LOG_LEVEL"] != "" {
		t.Error("the services share one map")
	}
}
