package order_test

import (
	"regexp"
	"strconv"
	"testing"

	"orderflow/contracts"
	"orderflow/contracts/contractstest"
	"orderflow/pkg/sqldb/sqldbtest"
)

// What copies, facts and fulfilment read is read by one service, through one
// inbox: it is on the list of readers as a whole, and takes in every sample of
// what it reads.
func TestTheServiceReadsWhatTheContractsSayItDoes(t *testing.T) {
	w := start(t)
	var patterns []string
	for _, match := range regexp.MustCompile(`(?m)^orderflow_inbox_reads\{type="([^"]+)"\} 1$`).FindAllSubmatch(w.Get("/metrics").Body, -1) {
		patterns = append(patterns, string(match[1]))
	}
	samples := contractstest.Reads(t, "order", patterns)
	placed, sent := map[string]bool{}, map[string]bool{}
	for _, sample := range samples {
		if subject, err := contracts.Subject(sample.Type); err != nil || subject == "orderId" && !placed[sample.Subject] {
			w.stored(sample.Subject, "order-placed.v1.json")
			placed[sample.Subject] = true
		}
		sent[sample.ID] = true
	}
	w.Publish(samples...)
	metric := func(name string) int {
		match := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindSubmatch(w.Get("/metrics").Body)
		if match == nil {
			t.Fatalf("there is no metric %s", name)
		}
		n, err := strconv.Atoi(string(match[1]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	sqldbtest.Eventually(t, "all samples are handled", func() bool {
		return metric("orderflow_inbox_handled_total")+metric("orderflow_inbox_parked") >= len(sent)
	})
	if letters := w.pages("/deadletters?limit=5"); len(letters) > 0 {
		t.Errorf("not understood: %v", letters)
	}
}
