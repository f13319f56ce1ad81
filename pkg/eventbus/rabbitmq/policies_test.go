package rabbitmq

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"orderflow/pkg/eventbus"
)

// PoliciesFile is what deploy has for operators of a cluster.
const PoliciesFile = "../../../deploy/rabbitmq-policies.json"

type policy struct {
	VHost      string         `json:"vhost"`
	Name       string         `json:"name"`
	Pattern    string         `json:"pattern"`
	ApplyTo    string         `json:"apply-to"`
	Priority   int            `json:"priority"`
	Definition map[string]any `json:"definition"`
}

// consumers are the services that have a queue.
func consumers(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../../../services/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("svc.Consume(")) {
			names = append(names, filepath.Base(filepath.Dir(file)))
		}
	}
	if len(names) == 0 {
		t.Fatal("the test is wrong: no service consumes")
	}
	return names
}

func TestPoliciesNameTheQueuesThereAreAndNoOthers(t *testing.T) {
	text, err := os.ReadFile(PoliciesFile)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var file struct {
		Policies []policy `json:"policies"`
	}
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	topology := names{DefaultNamespace}
	services := append(consumers(t), eventbus.Unrouted)
	for _, p := range file.Policies {
		pattern, err := regexp.Compile(p.Pattern)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		if p.Definition["overflow"] != "reject-publish" {
			t.Errorf("%s: overflow is %v: a full queue would drop its oldest event", p.Name, p.Definition["overflow"])
		}
		matched := 0
		for _, service := range services {
			for _, queue := range []string{topology.queue(service), topology.queue(service + eventbus.DeadSuffix)} {
				if pattern.MatchString(queue) {
					matched++
				}
				if limit, set := p.Definition["delivery-limit"]; set && pattern.MatchString(queue) && limit != float64(defaultDeliveryLimit) {
					t.Errorf("%s: the delivery limit of %s is %v, and %d as it is declared: the smaller one holds", p.Name, queue, limit, defaultDeliveryLimit)
				}
				for _, suffix := range []string{recordSuffix, lockSuffix} {
					if pattern.MatchString(queue + suffix) {
						t.Errorf("%s limits %s, which is the bus's own", p.Name, queue+suffix)
					}
				}
			}
		}
		if want := len(services) - 1; p.Name == "orderflow-services" && matched != want {
			t.Errorf("%s matches %d queues, want those of the %d services that consume", p.Name, matched, want)
		}
		if matched == 0 {
			t.Errorf("%s: no queue is named like %s", p.Name, p.Pattern)
		}
	}
	for _, service := range services {
		for _, queue := range []string{topology.queue(service), topology.queue(service + eventbus.DeadSuffix)} {
			policies := 0
			for _, p := range file.Policies {
				if regexp.MustCompile(p.Pattern).MatchString(queue) {
					policies++
				}
			}
			if policies != 1 {
				t.Errorf("%d policies for %s, want one: a broker applies only one", policies, queue)
			}
		}
	}
}
