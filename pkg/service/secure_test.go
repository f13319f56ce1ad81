package service_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/service"
)

func TestCredentialsOfTheEventStoreAreUsedAndToldToNobody(t *testing.T) {
	server := esdbservertest.New(t, esdbservertest.Secure(), esdbservertest.Configure(func(c *esdbserver.Config) { c.AdminPassword = "s3cret/@" }))
	build := func(_ context.Context, svc *service.Service) { svc.EventStore() }

	right := newWorld(t)
	right.environ["EVENTSTORE_URL"] = server.ConnectionStringFor("admin", "s3cret/@")
	right.startReady(build)

	wrong := newWorld(t)
	wrong.environ["EVENTSTORE_URL"] = server.ConnectionStringFor("admin", "s3cret, but another")
	wrong.start(build)
	var got answer
	wrong.eventually("the service says what it waits for", func() bool {
		got = wrong.ask(http.MethodGet, "/readyz", "")
		return got.status == http.StatusServiceUnavailable && strings.Contains(got.body, "Unauthenticated")
	})

	for name, w := range map[string]*world{"right": right, "wrong": wrong} {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
		if strings.Contains(w.log.String(), "s3cret") || strings.Contains(got.body, "s3cret") {
			t.Errorf("with the %s password: it is told\n%s\n%s", name, got.body, w.log)
		}
	}
}
