package service_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// detail is what /readyz says about one check.
func (w *world) detail(name string) (ok bool, detail string) {
	w.t.Helper()
	for _, c := range as[service.Readiness](w.t, w.ask(http.MethodGet, "/readyz", "")).Checks {
		if c.Name == name {
			return c.OK, c.Detail
		}
	}
	return false, "no such check"
}

func TestReadinessSaysWhatIsWaitedForAndRecovers(t *testing.T) {
	w := newWorld(t)
	var works, loopWorks atomic.Bool
	var attempts, rounds atomic.Int64
	w.start(func(_ context.Context, svc *service.Service) {
		things(t.Context(), svc)
		svc.Start("count to three", func(context.Context) error {
			if attempts.Add(1) < 3 || !works.Load() {
				return errors.New("cannot count yet")
			}
			return nil
		})
		svc.Loop("turning", func(ctx context.Context) error {
			if !loopWorks.Load() {
				if rounds.Add(1)%2 == 0 {
					panic("lost its footing")
				}
				return errors.New("fell over")
			}
			<-ctx.Done()
			return nil
		})
		svc.Check("careless", func(context.Context) error {
			if !works.Load() {
				panic("no")
			}
			return nil
		})
	})
	if a := w.ask(http.MethodGet, "/things", ""); a.status != http.StatusServiceUnavailable || code(problem(t, a)) != "starting" {
		t.Errorf("an operation before the start: %d %s", a.status, a.body)
	}
	w.eventually("the failing step is shown", func() bool {
		_, detail := w.detail("start")
		return detail == "count to three: cannot count yet"
	})
	if _, detail := w.detail("turning"); detail != "not started yet" {
		t.Errorf("the loop: %q", detail)
	}
	if ok, detail := w.detail("careless"); ok || detail != "panic: no" {
		t.Errorf("a check that panics: %q", detail)
	}
	works.Store(true)
	w.eventually("the failing loop is shown", func() bool { _, d := w.detail("turning"); return d == "fell over" })
	w.eventually("the panic of the loop is shown in one line", func() bool { _, d := w.detail("turning"); return d == "panic: lost its footing" })
	if w.try(http.MethodGet, "/readyz") != http.StatusServiceUnavailable {
		t.Error("ready although a loop fails")
	}
	if w.try(http.MethodGet, "/things") != http.StatusOK {
		t.Error("no answers although everything has started")
	}
	loopWorks.Store(true)
	w.eventually("it is ready", func() bool { return w.try(http.MethodGet, "/readyz") == http.StatusOK })
	for _, want := range []string{"cannot count yet", "loop failed", "lost its footing", "goroutine"} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

func TestALoopThatEndsByItselfIsStartedAgain(t *testing.T) {
	w := newWorld(t)
	var rounds atomic.Int64
	w.start(func(_ context.Context, svc *service.Service) {
		svc.Loop("brief", func(ctx context.Context) error {
			if rounds.Add(1) > 2 {
				<-ctx.Done()
			}
			return nil
		})
	})
	w.eventually("it was started again", func() bool { return rounds.Load() > 2 })
	if !strings.Contains(w.log.String(), "ended by itself") {
		t.Errorf("the log: %s", w.log)
	}
}

func TestACheckThatHangsIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	defer close(release)
	w.start(func(_ context.Context, svc *service.Service) {
		svc.Check("hanging", func(context.Context) error { <-release; return nil })
	})
	if ok, detail := w.detail("hanging"); ok || detail != "no answer in time" {
		t.Errorf("got %v, %q", ok, detail)
	}
}

// parts puts together what most services have.
func parts(ctx context.Context, svc *service.Service) {
	db, bus := svc.Database(), svc.Bus(ctx)
	if svc.Refused() != nil {
		return
	}
	in, out := inbox.New(db, "test", svc.Log, inbox.Options{}), svc.Outbox(db, bus)
	inbox.On(in, "order.events.placed.v1", func(context.Context, sqldb.Tx, eventbus.Event, struct{}) error { return nil })
	svc.Start("migrate", func(ctx context.Context) error { return errors.Join(inbox.Migrate(ctx, db), outbox.Migrate(ctx, db)) })
	svc.Consume(bus, in)
	svc.Publish(out)
	svc.ServeTrace(service.TraceInbox(in), service.TraceOutbox(out))
	svc.ServeDeadLetters(service.InboxBox{Inbox: in}, service.OutboxBox{Outbox: out})
}

func TestAServiceOfAllPartsStartsOnNothingAndStops(t *testing.T) {
	w := newWorld(t)
	w.startReady(parts)
	var names []string
	for _, c := range as[service.Readiness](t, w.ask(http.MethodGet, "/readyz", "")).Checks {
		names = append(names, c.Name)
	}
	want := "start, database (DATABASE_URL), event bus (EVENTBUS_URL), inbox, scrubbing, inbox: held events, consumer, consumer: deliveries, dead deliveries, dead deliveries: deliveries, outbox, outbox: publishing"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("checks %s", got)
	}
	metrics := w.ask(http.MethodGet, "/metrics", "").body
	for _, line := range []string{
		`orderflow_service_info{service="test"} 1`, "orderflow_bus_published_total 0", "orderflow_bus_unrouted 0", "orderflow_queue_depth 0",
		`orderflow_inbox_reads{type="order.events.placed.v1"} 1`, "orderflow_inbox_handled_total 0", "orderflow_inbox_held 0", "orderflow_inbox_parked 0", "orderflow_outbox_pending 0",
		"orderflow_outbox_failures_total 0", "orderflow_outbox_streaming 0", "orderflow_outbox_slot_kept_bytes 0",
		"orderflow_bus_blocked 0", `orderflow_http_request_duration_seconds_count{method="GET",route="/livez",status="200"}`, "go_goroutines",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no metric %s", line)
		}
	}
	if strings.Contains(metrics, "NaN") {
		t.Error("a gauge has no number")
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

func TestInventedMethodsAndPathsMakeNoMetrics(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	w.ask("INVENTED", "/things", "")
	w.ask("GET", "/invented", "")
	metrics := w.ask(http.MethodGet, "/metrics", "").body
	if strings.Contains(metrics, "INVENTED") || strings.Contains(metrics, "/invented") {
		t.Error("callers make metrics")
	}
	if !strings.Contains(metrics, `{method="GET",route="unknown",status="404"`) || !strings.Contains(metrics, `{method="other"`) {
		t.Errorf("they are not counted: %s", metrics)
	}
}

func TestASettingThatCannotWorkEndsTheServiceWithALineThatNamesIt(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct{ variable, value, want string }{
		{"HTTP_ADDR", "nonsense", "missing port"},
		{"HTTP_ADDR", "127.0.0.1:99999", "invalid port"},
		{"HTTP_ADDR", taken.Addr().String(), taken.Addr().String() + " is taken by another process"},
		{"LOG_LEVEL", "LOUD", `"LOUD"`},
		{"STOP_WITHIN", "soon", `"soon"`},
		{"DATABASE_URL", "mysql://root:s3cret@host/db", "mysql"},
		{"DATABASE_URL", "nonsense", "want postgres"},
		{"DATABASE_URL", "sqlite:///proc/nothing/x.db", "/proc/nothing"},
		{"EVENTBUS_URL", "http://root:s3cret@host", "amqp://"},
		{"EVENTBUS_URL", "sqlite://", "amqp://"},
		{"EVENTBUS_URL", "amqp://u:s3cret@host:port", "amqp://"},
		{"OUTBOX", "push", `"push" is neither poll nor cdc`},
		{"OUTBOX", "cdc", "cdc needs PostgreSQL"},
		{"EVENTSTORE_URL", "http://root:s3cret@host", "esdb://"},
		{"EVENTSTORE_URL", "esdb://root:s3cret@host:port", "port"},
		{"EVENTSTORE_URL", "esdb://root:1/s3cret@host:2113", "%XX"},
	} {
		w := newWorld(t)
		w.environ[c.variable] = c.value
		err := run(w.host())
		if !errors.Is(err, service.ErrSettings) {
			t.Errorf("%s=%s: got %v, want ErrSettings", c.variable, c.value, err)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, "test: settings: "+c.variable+": ") || !strings.Contains(text, c.want) ||
			strings.Contains(text, "\n") || strings.Contains(text, "s3cret") {
			t.Errorf("%s=%s: %s", c.variable, c.value, text)
		}
	}
}

// run is a service as a person would write it, which nobody asks to stop.
func run(host service.Host) error {
	svc, err := service.New("test", "127.0.0.1:1", host)
	if err != nil {
		return err
	}
	db, bus := svc.Database(), svc.Bus(context.Background())
	svc.EventStore()
	if err := svc.Refused(); err != nil {
		return err
	}
	svc.Outbox(db, bus)
	return svc.Run(context.Background())
}

func TestSeveralWrongSettingsAreToldTogether(t *testing.T) {
	w := newWorld(t)
	w.environ["LOG_LEVEL"], w.environ["STOP_WITHIN"] = "LOUD", "soon"
	if err := run(w.host()); err == nil || !strings.Contains(err.Error(), "LOG_LEVEL: ") || !strings.Contains(err.Error(), "STOP_WITHIN: ") {
		t.Errorf("got %v", err)
	}
	w = newWorld(t)
	w.environ["DATABASE_URL"], w.environ["EVENTBUS_URL"] = "x", "y"
	if err := run(w.host()); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v, want a line each", err)
	}
	var own struct {
		Pause int    `env:"PAUSE"`
		Key   string `env:"KEY,required"`
	}
	err := service.Host{Environ: map[string]string{"PAUSE": "x"}}.Load(&own)
	if !errors.Is(err, service.ErrSettings) || !strings.Contains(err.Error(), "PAUSE: ") || !strings.Contains(err.Error(), `"KEY"`) {
		t.Errorf("got %v", err)
	}
}

func TestStoppingLetsRequestsFinishAndEndsStreams(t *testing.T) {
	w := newWorld(t)
	entered, finish := make(chan struct{}), make(chan struct{})
	w.startReady(func(ctx context.Context, svc *service.Service) {
		things(ctx, svc)
		service.Post(svc, "/slow", "Take some time", func(ctx context.Context, _ *struct{}) (*textOutput, error) {
			close(entered)
			<-finish
			out := &textOutput{}
			out.Body.Text = "undisturbed"
			return out, ctx.Err()
		})
		svc.Router.Get("/live", func(rw http.ResponseWriter, r *http.Request) {
			_, _ = rw.Write([]byte("data: open\n\n"))
			_ = http.NewResponseController(rw).Flush()
			<-r.Context().Done()
		})
	})
	stream, err := w.client.Get("http://" + w.addr + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewReader(stream.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "data: open\n" {
		t.Fatalf("%q, %v", line, err)
	}
	answers := make(chan answer)
	go func() {
		a, err := w.askErr(http.MethodPost, "/slow", "")
		if err != nil {
			t.Error(err)
		}
		answers <- a
	}()
	<-entered
	stopped := make(chan error)
	go func() { stopped <- w.stop() }()
	w.eventually("no new requests are taken", func() bool { return w.try(http.MethodGet, "/livez") == 0 })
	close(finish)
	if a := <-answers; a.status != http.StatusOK || !strings.Contains(a.body, "undisturbed") {
		t.Errorf("the request under way: %d %s", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := lines.ReadString(0); err == nil {
		t.Error("the stream goes on")
	}
	if strings.Contains(w.log.String(), "cut off") {
		t.Errorf("the log: %s", w.log)
	}
}

func TestStoppingWaitsForARequestOnlySoLong(t *testing.T) {
	w := newWorld(t)
	w.environ["STOP_WITHIN"] = "50ms"
	entered := make(chan struct{})
	w.startReady(func(_ context.Context, svc *service.Service) {
		service.Post(svc, "/for-ever", "Never end", func(ctx context.Context, _ *struct{}) (*textOutput, error) {
			close(entered)
			<-ctx.Done()
			return nil, ctx.Err()
		})
	})
	failed := make(chan error)
	go func() {
		_, err := w.askErr(http.MethodPost, "/for-ever", "")
		failed <- err
	}()
	<-entered
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	<-failed
	if !strings.Contains(w.log.String(), "requests cut off") {
		t.Errorf("the log: %s", w.log)
	}
}

func TestAnOpenBusIsClosedWhenAnotherPartIsRefused(t *testing.T) {
	w := newWorld(t)
	w.environ["DATABASE_URL"] = "nonsense"
	if err := run(w.host()); err == nil { // goleak looks for what stays behind
		t.Error("no error")
	}
}
