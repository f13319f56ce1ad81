package deploy

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// ports are where the services listen and are published, unless told otherwise.
func ports() map[string]string {
	return map[string]string{
		"console": "8080", "customer": "8081", "order": "8082", "packing": "8083",
		"dispatch": "8084", "crm": "8085", "reporting": "8086", "catalog": "8087",
	}
}

// load reads the compose file as the compose command does.
func load(t *testing.T, environ ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"compose.yml"},
		cli.WithEnv(environ), cli.WithProfiles([]string{"observability"}), cli.WithWorkingDirectory("."))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestEveryServiceIsThereAndRunsItsProgram(t *testing.T) {
	project := load(t)
	folders, err := os.ReadDir("../services")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, folder := range folders {
		want = append(want, folder.Name())
		service, ok := project.Services[folder.Name()]
		if !ok {
			continue // told below
		}
		if service.Image != "orderflow:local" || service.Build == nil {
			t.Errorf("%s: image %q, build %v", service.Name, service.Image, service.Build)
		}
		if got := strings.Join(service.Command, " "); got != "/bin/"+service.Name {
			t.Errorf("%s runs %q", service.Name, got)
		}
		if _, err := os.Stat(filepath.Join("../services", service.Name, "cmd", "main.go")); err != nil {
			t.Errorf("%s has no program to build: %v", service.Name, err)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(ports())), want); diff != "" {
		t.Fatalf("folders of services (-expected +found):\n%s", diff)
	}
	for _, name := range want {
		if _, ok := project.Services[name]; !ok {
			t.Errorf("there is no container for %s", name)
		}
	}
}

func TestServersRunThePinnedImages(t *testing.T) {
	want := map[string]string{
		"eventstore":    "kurrentplatform/kurrentdb:25.1",
		"rabbitmq":      "rabbitmq:4.1-management-alpine",
		"postgres":      "postgres:17-alpine",
		"mailpit":       "axllent/mailpit:v1.21",
		"observability": "grafana/otel-lgtm",
	}
	got := map[string]string{}
	project := load(t)
	for name, service := range project.Services {
		if service.Build == nil {
			got[name] = service.Image
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	if platform := project.Services["eventstore"].Platform; platform != "linux/amd64" {
		t.Errorf("the event store's image exists for linux/amd64, not %q", platform)
	}
}

func TestNothingStartsBeforeWhatItNeedsIsHealthy(t *testing.T) {
	project := load(t)
	for name, service := range project.Services {
		if len(service.Profiles) > 0 {
			continue
		}
		if service.HealthCheck == nil || service.HealthCheck.Disable || len(service.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		needs := map[string]bool{}
		for other, condition := range service.DependsOn {
			needs[other] = true
			if condition.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s starts when %s is %s", name, other, condition.Condition)
			}
		}
		for variable, value := range service.Environment {
			if value == nil || !strings.HasSuffix(variable, "_URL") {
				continue
			}
			server := hostOf(t, *value)
			if _, ok := project.Services[server]; !ok {
				t.Errorf("%s: %s names %q, which is no container", name, variable, server)
			}
			// The console shows which services are missing; it waits for none.
			if _, ours := ports()[server]; !ours && !needs[server] {
				t.Errorf("%s connects to %s and does not wait for it", name, server)
			}
		}
	}
}

func hostOf(t *testing.T, rawURL string) string {
	t.Helper()
	parsed, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Hostname()
}

func TestPortsAreReachableFromThisMachineOnlyAndCanBeMoved(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ []string
		moved   string
	}{
		{"defaults", nil, ""},
		{"one moved", []string{"ORDER_PORT=18082"}, "order"},
	} {
		t.Run(test.name, func(t *testing.T) {
			project := load(t, test.environ...)
			for name, port := range ports() {
				service := project.Services[name]
				if addr := service.Environment["HTTP_ADDR"]; addr == nil || *addr != "0.0.0.0:"+port {
					t.Errorf("%s listens on %v", name, addr)
				}
				want := "127.0.0.1:" + port + "->" + port
				if name == test.moved {
					want = "127.0.0.1:1" + port + "->" + port
				}
				if got := published(service); got != want {
					t.Errorf("%s is published as %s, want %s", name, got, want)
				}
				if check := strings.Join(service.HealthCheck.Test, " "); !strings.HasSuffix(check, "http://127.0.0.1:"+port+"/readyz") {
					t.Errorf("%s is checked by %q", name, check)
				}
			}
			for name, service := range project.Services {
				for _, port := range service.Ports {
					if port.HostIP != "127.0.0.1" {
						t.Errorf("%s is published to %q", name, port.HostIP)
					}
				}
			}
		})
	}
}

func published(service types.ServiceConfig) string {
	var all []string
	for _, port := range service.Ports {
		all = append(all, fmt.Sprintf("%s:%s->%d", port.HostIP, port.Published, port.Target))
	}
	return strings.Join(all, ", ")
}

// TestServicesAreGivenSettingsThatExist reads the settings out of the env tags of the services and the kit.
func TestServicesAreGivenSettingsThatExist(t *testing.T) {
	project := load(t)
	kit := settingsIn(t, "../pkg/service")
	if !slices.Contains(kit, "HTTP_ADDR") {
		t.Fatalf("the settings of the kit were not found: %v", kit)
	}
	for name := range ports() {
		known := append(settingsIn(t, filepath.Join("../services", name)), kit...)
		for variable := range project.Services[name].Environment {
			if !slices.Contains(known, variable) {
				t.Errorf("%s is given %s, which it does not read", name, variable)
			}
		}
	}
}

func settingsIn(t *testing.T, folder string) []string {
	t.Helper()
	tag := regexp.MustCompile("`env:\"([A-Z_]+)\"")
	var found []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range tag.FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryDatabaseIsMadeForTheUserWhoConnects(t *testing.T) {
	script, err := os.ReadFile("databases.sql")
	if err != nil {
		t.Fatal(err)
	}
	project := load(t)
	owners := map[string]string{}
	for _, match := range regexp.MustCompile(`CREATE DATABASE "(\w+)" OWNER "(\w+)";`).FindAllStringSubmatch(string(script), -1) {
		owners[match[1]] = match[2]
	}
	for name := range ports() {
		connection, err := url.Parse(*project.Services[name].Environment["DATABASE_URL"])
		if err != nil {
			t.Fatal(err)
		}
		user, database := connection.User.Username(), strings.TrimPrefix(connection.Path, "/")
		password, _ := connection.User.Password()
		if user != name || database != name {
			t.Errorf("%s connects to %s as %s: no service uses another's", name, database, user)
		}
		for _, statement := range []string{
			fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD '%s';", user, password),
			fmt.Sprintf("CREATE DATABASE %q OWNER %q;", database, user),
			fmt.Sprintf("REVOKE CONNECT ON DATABASE %q FROM PUBLIC;", database),
		} {
			if !strings.Contains(string(script), statement) {
				t.Errorf("databases.sql does not say: %s", statement)
			}
		}
		delete(owners, database)
	}
	if len(owners) > 0 {
		t.Errorf("databases that nobody uses: %v", owners)
	}
	if command := strings.Join(project.Services["postgres"].Command, " "); !strings.Contains(command, "wal_level=logical") {
		t.Errorf("postgres runs %q", command)
	}
}

func TestMetricsOfEveryServiceAreRead(t *testing.T) {
	config, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	for name, port := range ports() {
		if !strings.Contains(string(config), "- "+name+":"+port+"\n") {
			t.Errorf("prometheus.yml does not name %s:%s", name, port)
		}
	}
}

// TestImageNeedsNothingThatIsLeftOutOfItsContext compares what the programs import with what is sent to the builder.
func TestImageNeedsNothingThatIsLeftOutOfItsContext(t *testing.T) {
	ignore, err := os.ReadFile("Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	imported := regexp.MustCompile(`"orderflow/([a-z]+)`)
	sent := strings.Split(string(ignore), "\n")
	for _, root := range []string{"../cmd", "../services", "../pkg"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, match := range imported.FindAllStringSubmatch(string(text), -1) {
				if !slices.Contains(sent, "!"+match[1]) {
					t.Errorf("%s imports %s, which is not sent to the builder", path, match[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
