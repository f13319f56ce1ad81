package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFiguresStandSideBySideRatiosFirst(t *testing.T) {
	const said = `goos: linux
goarch: amd64
pkg: orderflow/pkg/eventbus/rabbitmq
cpu: something
BenchmarkPublish/batch_of_1000-2         	       3	     41230.5 bus/s	     36700 raw/s	         1.1234 ratio	 512 B/op
BenchmarkPublish/batch_of_1000-2         	       3	     43230 bus/s	     36800 raw/s	         1.2 ratio	 512 B/op
BenchmarkPublish/batch_of_1000-2         	       3	     40230 bus/s	     36600 raw/s	         0.99 ratio	 512 B/op
BenchmarkOther-2    	 1000	 1234567 ns/op
    bench_test.go:17: a word of its own
PASS
ok  	orderflow/pkg/eventbus/rabbitmq	3.1s
?   	orderflow/pkg/none	[no test files]
pkg: orderflow/pkg/inbox
--- FAIL: BenchmarkBroken
FAIL	orderflow/pkg/inbox	0.1s
`
	const want = `    bench_test.go:17: a word of its own

pkg/eventbus/rabbitmq
  Publish/batch of 1000   1.12 ratio (0.99 to 1.20)   41,230 bus/s (40,230 to 43,230)   36,700 raw/s (36,600 to 36,800)   512 B/op (512 to 512)
  Other                   1,234,567 ns/op
--- FAIL: BenchmarkBroken
FAIL	orderflow/pkg/inbox	0.1s
`
	var out strings.Builder
	if err := rewrite(strings.NewReader(said), &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
