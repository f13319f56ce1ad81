package console_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a Chromium tab that writes down everything a page must not do.
type browser struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the tab in it

	mu       sync.Mutex
	faults   []string
	outage   bool
	ownHosts []string
}

// open starts a browser that may talk to the hosts of the addresses given.
func open(t *testing.T, own ...string) *browser {
	t.Helper()
	program := chromium(t)
	profile, err := os.MkdirTemp("", "console-browser-") //nolint:usetesting // TempDir fails while the browser's helpers still write
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the browser's profile is removed", func() bool { return os.RemoveAll(profile) == nil })
	})
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(profile),
		chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("hide-scrollbars", true))
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	tab, closeTab := chromedp.NewContext(allocated)
	t.Cleanup(closeTab)
	ctx, expire := context.WithTimeout(tab, 2*time.Minute)
	t.Cleanup(expire)
	b := &browser{t: t, ctx: ctx}
	for _, address := range own {
		parsed, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		b.ownHosts = append(b.ownHosts, parsed.Host)
	}
	chromedp.ListenTarget(ctx, b.watch)
	b.do("start the browser", network.Enable(), log.Enable(), runtime.Enable())
	return b
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	if os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatal("there is no Chromium here, and REQUIRE_REAL=1")
	}
	t.Skip("there is no Chromium here")
	return ""
}

// watch notes what the page does wrong.
func (b *browser) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.fault("exception: " + e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			b.fault(fmt.Sprintf("console: %s %v", e.Type, texts(e.Args)))
		}
	case *log.EventEntryAdded:
		// Chromium itself notes a lost connection as an error.
		if e.Entry.Level == log.LevelError && !(b.inOutage() && strings.Contains(e.Entry.Text, "net::ERR_")) {
			b.fault(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		requested, err := url.Parse(e.Request.URL)
		if err != nil || requested.Scheme != "data" && !slices.Contains(b.ownHosts, requested.Host) {
			b.fault("request to " + e.Request.URL)
		}
	}
}

func (b *browser) fault(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, what)
}

// setOutage says whether a connection may fail just now.
func (b *browser) setOutage(outage bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outage = outage
}

func (b *browser) inOutage() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outage
}

// behaved fails the test when the page has done anything it must not.
func (b *browser) behaved() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.t.Error(fault)
	}
}

func (b *browser) do(what string, actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// size makes the window that large, in pixels.
func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.do("size the window", emulation.SetDeviceMetricsOverride(width, height, 1, width < 500))
}

// dark sets what the person prefers.
func (b *browser) dark(dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.do("choose the colours", emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}))
}

// visit opens an address.
func (b *browser) visit(address string) {
	b.t.Helper()
	b.do("visit "+address, chromedp.Navigate(address))
}

// so waits until an expression is true on the page.
func (b *browser) so(what, expression string) {
	b.t.Helper()
	eventually(b.t, what+" ("+expression+")", func() bool {
		var so bool
		if err := chromedp.Run(b.ctx, chromedp.Evaluate("Boolean("+expression+")", &so)); err != nil {
			b.t.Fatalf("%s: %v", what, err)
		}
		return so
	})
}

// is returns the text that an expression gives on the page.
func (b *browser) is(expression string) string {
	b.t.Helper()
	var text string
	b.do(expression, chromedp.Evaluate("String("+expression+")", &text))
	return text
}

// press presses keys where the focus is.
func (b *browser) press(keys string) {
	b.t.Helper()
	b.do("press keys", chromedp.KeyEvent(keys))
}

// picture keeps a picture of the page in the folder SCREENSHOTS, if that is set.
func (b *browser) picture(name string) {
	b.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	var png []byte
	b.do("take a picture", chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = page.CaptureScreenshot().WithCaptureBeyondViewport(false).Do(ctx)
		return err
	}))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// texts are the things written to the browser's console.
func texts(objects []*runtime.RemoteObject) []string {
	var written []string
	for _, object := range objects {
		written = append(written, string(object.Value)+object.Description)
	}
	return written
}
