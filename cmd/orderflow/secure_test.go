package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestEveryServiceWorksOnASecureEventStoreAndNobodyShowsItsPassword(t *testing.T) {
	store := esdbservertest.New(t, esdbservertest.Secure(), esdbservertest.Configure(func(c *esdbserver.Config) { c.AdminPassword = "s3cret" }))
	w := newWorld(t)
	w.environ["EVENTSTORE_URL"], w.environ["LOG_LEVEL"] = store.ConnectionString(), "DEBUG"
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, log locked
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"run", "--data", w.dir.String()}, terminal{Out: &out, Err: &log, Environ: w.environ})
	}()
	eventually(t, "the ready line", func() bool { return strings.Contains(out.String(), "esdb://") })
	state, err := json.Marshal(w.state())
	if err != nil {
		t.Fatal(err)
	}
	status := w.must("status")
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d:\n%s", code, log.String())
	}
	for where, text := range map[string]string{"output": out.String(), "log": log.String(), "state": string(state), "status": status} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("the %s shows the password:\n%s", where, text)
		}
	}
}
