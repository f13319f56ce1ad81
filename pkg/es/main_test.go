package es_test

import (
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }
