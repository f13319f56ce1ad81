package esdbserver_test

import (
	"os"
	"testing"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/esdbserver/protocoltest"
)

// ESDB_URL names a server to ask instead, the original for one: esdb://admin:changeit@127.0.0.1:2113?tlsVerifyCert=false.
// It may hold events of others.
func TestServerFollowsTheProtocol(t *testing.T) {
	protocoltest.Run(t, func(t *testing.T) protocoltest.Server {
		if url := os.Getenv("ESDB_URL"); url != "" {
			return protocoltest.Server{ConnectionString: url}
		}
		store := esdbservertest.New(t, inDir(t))
		return protocoltest.Server{
			ConnectionString: store.ConnectionString(), Ours: true,
			Restart: func() { store.Stop(); store.Start() }, SetClock: store.SetClock,
		}
	})
}

func TestSecureServerFollowsTheProtocolToo(t *testing.T) {
	protocoltest.Run(t, func(t *testing.T) protocoltest.Server {
		store := esdbservertest.New(t, esdbservertest.Secure())
		return protocoltest.Server{ConnectionString: store.ConnectionString(), Ours: true, SetClock: store.SetClock}
	})
}
