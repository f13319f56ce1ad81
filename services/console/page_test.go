package console_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/stagetest"
)

const (
	ada   = "0198c0de-0000-7000-8000-0000000000ad"
	grace = "0198c0de-0000-7000-8000-0000000000bc"
	alan  = "0198c0de-0000-7000-8000-0000000000cd"
)

// busy is a system with some orders and figures, and one order that waits for a
// person at dispatch.
func busy(t *testing.T) (*stagetest.System, *stagetest.Journey) {
	t.Helper()
	system := stagetest.New(t)
	system.Call(ada, "Ada Lovelace")
	system.Call(grace, "Grace Hopper")
	now := time.Now().UTC()
	for i, product := range []string{"Enamel mug", "Notebook, dotted, A5", "Fountain pen", "Desk lamp"} {
		j := system.NewJourney(now.Add(-time.Duration(40-9*i) * time.Hour))
		j.Place([]string{ada, grace, alan}[i%3], product, int64(1290+i*84300))
		system.Change(j.OrderID, func(o *board.Order) { o.Status = []string{"dispatched", "cancelled", "dispatched", "placed"}[i] })
	}
	j := system.NewJourney(now.Add(-5 * time.Minute))
	j.Place(grace, "Enamel mug", 2580)
	j.SpreadPlaced()
	j.Mail("order-confirmation", "sent")
	j.After(4*time.Minute + 12*time.Second)
	j.Pack()
	j.After(2 * time.Millisecond)
	j.RecordPacked()
	j.Spread("packing.events.packed.v1", "dispatch", "crm", "reporting")
	j.Write("dispatch", "shipment", "ready")
	system.Figure(`{"ordersByStatus":{"placed":12,"packed":3,"dispatched":1204,"cancelled":41},
		"revenue":[{"amount":4821790,"currency":"EUR"},{"amount":99000,"currency":"JPY"}],
		"timeToPack":{"medianMs":272000,"p95Ms":5400000},"timeToDispatch":{"medianMs":7200000,"p95Ms":86400000}}`)
	return system, j
}

// What the tests look at on the page.
const (
	rows      = `document.querySelectorAll("#rows tr").length`
	firstRow  = `document.querySelector("#rows tr")?.textContent`
	items     = `document.querySelectorAll(".items .item").length`
	awaits    = `document.querySelectorAll(".items .awaited").length`
	nodes     = `document.querySelectorAll(".graph .node").length`
	travels   = `document.querySelectorAll(".graph .travel").length`
	headPill  = `document.querySelector("#order .head .pill")?.textContent`
	focused   = `document.activeElement`
	connected = `document.getElementById("connection").dataset.state`
)

func TestOrderIsFollowedLive(t *testing.T) {
	system := stagetest.New(t)
	system.Call(ada, "Ada Lovelace")
	c := start(t, system)
	b := open(t, c.url)
	b.size(1600, 1000)
	b.visit(c.url + "/")
	b.so("a first request is proposed", `document.querySelector("#no-orders code")?.textContent.includes("/products") && !document.querySelector("#no-orders code").textContent.includes("undefined")`)
	b.picture("empty")

	j := system.NewJourney(time.Now().UTC())
	j.Place(ada, "Enamel mug", 2580)
	b.so("the order appears", rows+` === 1`)
	b.so("with its customer", firstRow+`.includes("Ada Lovelace") && `+firstRow+`.includes("€25.80") && `+firstRow+`.includes("placed")`)

	b.do("open the order", chromedp.Click("#rows .id", chromedp.ByQuery))
	b.so("its address is the order's", `location.hash === "#/orders/`+j.OrderID+`"`)
	b.so("its row is marked", `document.querySelector("#rows tr").matches("[data-chosen]:has([aria-current])")`)
	b.so("there is a lane a service", `document.querySelectorAll(".graph .lane").length === 5`)
	b.so("four things happened, three are awaited", items+` === 4 && `+awaits+` === 3 && `+nodes+` === 7`)
	b.so("the event flies to its readers", `document.querySelectorAll(".graph .flying").length === 3`)
	b.picture("flying")

	j.SpreadPlaced()
	b.so("all have it, and packing is waited for", items+` === 7 && `+awaits+` === 1 && `+travels+` === 3`)
	b.so("what to do next is said", `document.querySelector(".awaited code").textContent.includes("/jobs/`+j.OrderID+`/pack")`)

	j.After(90 * time.Second)
	j.Pack()
	j.RecordPacked()
	b.so("the status changes, in both places", headPill+` === "packed" && `+firstRow+`.includes("packed")`)
	b.so("the pause is told", `document.querySelector(".pause")?.textContent.includes("1 min 30 s until somebody asked packing")`)
	b.so("causes stand above effects", `[...document.querySelectorAll(".item .object")].map(n => n.textContent).join().startsWith("POST /orders,order placed,order placed")`)
	b.behaved()
}

func TestLostConnectionIsShownAndComesBack(t *testing.T) {
	system, j := busy(t)
	c := start(t, system)
	b := open(t, c.url)
	b.size(1200, 900)
	b.visit(c.url + "/#/orders/" + j.OrderID)
	b.so("the page is live", connected+` === "live" && `+rows+` === 5 && `+items+` > 10`)
	b.setOutage(true)
	c.stop()
	b.so("the loss is shown", connected+` === "lost" && !document.getElementById("lost").hidden`)
	b.so("what was there stays", rows+` === 5 && `+items+` > 10`)
	b.picture("lost")
	system.NewJourney(time.Now().UTC()).Place(ada, "Enamel mug", 990)
	c.begin()
	b.so("it comes back by itself, with what happened meanwhile", connected+` === "live" && document.getElementById("lost").hidden && `+rows+` === 6`)
	b.setOutage(false)
	b.behaved()
}

func TestServiceThatIsDownIsNamedAndTheRestGoesOn(t *testing.T) {
	system, j := busy(t)
	system.Bury(neighbours.Dispatch, 3)
	c := start(t, system)
	b := open(t, c.url)
	b.size(1200, 900)
	b.visit(c.url + "/#/orders/" + j.OrderID)
	b.so("all is well", items+` > 10`)
	b.so("dead letters are counted", `document.getElementById("services").textContent.includes("3 dead letters")`)
	system.Stop(neighbours.Packing)
	system.Stop(neighbours.Reporting)
	b.so("packing is named", `document.getElementById("troubles").textContent.includes("packing does not answer: connection refused")`)
	b.so("on the timeline, too", `document.querySelector("#order .troubles").textContent.includes("packing")`)
	b.so("its part stays", `document.querySelector(".items").textContent.includes("packing")`)
	b.so("figures stay, and are said to be old", `!document.getElementById("figures-problem").hidden && document.getElementById("figures").textContent.includes("€48,217.90")`)
	b.picture("down")
	system.NewJourney(time.Now().UTC()).Place(ada, "Enamel mug", 990)
	b.so("orders go on", rows+` === 6`)
	system.Start(neighbours.Packing)
	b.so("packing is back", `document.getElementById("troubles").textContent.includes("reporting") && !document.getElementById("troubles").textContent.includes("packing")`)
	b.behaved()
}

func TestPageWorksWithTheKeyboardAlone(t *testing.T) {
	system, j := busy(t)
	c := start(t, system)
	b := open(t, c.url)
	b.size(1200, 900)
	b.visit(c.url + "/")
	b.so("the orders are there", rows+` === 5`)
	tabTo(b, `matches("#rows .id")`)
	b.press(kb.Enter)
	b.so("the order has the focus", focused+`.id === "order-title" && `+items+` > 10`)
	tabTo(b, `matches(".items summary")`)
	b.press(kb.Enter)
	b.so("the first item shows its ids", `document.querySelector(".items details[open] .ids")?.textContent.includes("correlation`+j.Correlation+`")`)
	tabTo(b, `closest?.("li:nth-child(2)")`)
	b.press(kb.Enter)
	tabTo(b, `matches(".jump")`)
	b.press(kb.Enter)
	b.so("the cause has the focus", focused+`.closest("li") === document.querySelector(".items li")`)
	b.picture("expanded")
	b.do("go back", chromedp.NavigateBack())
	b.so("its row has the focus", focused+`.matches("#rows .id")`)
	tabBack(b, `matches('[data-status="packed"]')`)
	b.press(kb.Enter)
	b.so("only what is packed is shown", rows+` === 1 && location.hash === "#/?status=packed"`)
	tabBack(b, `matches("#wanted")`)
	b.press("no id" + kb.Enter)
	b.so("a wrong id is refused", `document.getElementById("find-problem").textContent !== ""`)
	b.do("clear the field", chromedp.SetValue("#wanted", j.OrderID, chromedp.ByQuery))
	b.press(kb.Enter)
	b.so("an order is found by its id", headPill+` === "packed"`)
	b.behaved()
}

// tabTo presses Tab until what has the focus is as wanted.
func tabTo(b *browser, wanted string) {
	b.t.Helper()
	for range 40 {
		b.press(kb.Tab)
		if b.is(focused+`.`+wanted+` ? 1 : 0`) == "1" {
			return
		}
	}
	b.t.Fatalf("no way with Tab to %s", wanted)
}

// tabBack is tabTo in the other direction.
func tabBack(b *browser, wanted string) {
	b.t.Helper()
	for range 40 {
		b.do("press Shift and Tab", chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(8)))
		if b.is(focused+`.`+wanted+` ? 1 : 0`) == "1" {
			return
		}
	}
	b.t.Fatalf("no way back to %s", wanted)
}

func TestWordsOfOthersAreNeverMarkup(t *testing.T) {
	system := stagetest.New(t)
	const bad = `<img src=x onerror=alert(1)><script>alert(2)</script>`
	system.Call(ada, bad)
	c := start(t, system)
	j := system.NewJourney(time.Now().UTC())
	j.Place(ada, bad, 100)
	j.Ask(neighbours.Packing, bad)
	j.Write(neighbours.CRM, bad, bad)
	b := open(t, c.url)
	b.visit(c.url + "/#/orders/" + j.OrderID)
	b.so("the words are there as they are", `document.querySelector(".facts").textContent.includes("<img src=x") && document.querySelector("#rows").textContent.includes("<script>")`)
	b.so("the timeline has them, too", `document.querySelector(".items").textContent.includes("<img src=x")`)
	b.so("and are nothing else", `document.querySelectorAll("img, main script").length === 0`)
	b.behaved()
}

func TestPageFitsEveryWindow(t *testing.T) {
	system, j := busy(t)
	c := start(t, system)
	b := open(t, c.url)
	b.visit(c.url + "/")
	for _, look := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"large", 1600, 1000, false}, {"large-dark", 1600, 1000, true}, {"laptop", 1280, 800, false}, {"medium", 800, 900, false}, {"small", 400, 860, false}, {"small-dark", 400, 860, true}} {
		b.size(look.width, look.height)
		b.dark(look.dark)
		for view, address := range map[string]string{"board": "/#/", "order": "/#/orders/" + j.OrderID} {
			b.visit(c.url + address)
			b.so("the "+view+" is there", map[string]string{"board": rows + ` === 5`, "order": items + ` > 10 && ` + nodes + ` > 10`}[view])
			if wide := b.is(`document.scrollingElement.scrollWidth - innerWidth`); wide != "0" && wide[0] != '-' {
				b.t.Errorf("%s %s is too wide by %s", look.name, view, wide)
			}
			if lines := b.is(`new Set(Array.from(document.querySelectorAll(".sums > div"), figure => figure.offsetTop)).size`); look.width >= 1080 && lines != "1" {
				b.t.Errorf("%s %s has its figures in %s lines", look.name, view, lines)
			}
			b.picture(view + "-" + look.name)
		}
		ground := b.is(`getComputedStyle(document.body).backgroundColor`)
		if dark := ground == "rgb(14, 17, 22)"; dark != look.dark {
			b.t.Errorf("%s is drawn on %s", look.name, ground)
		}
	}
	b.behaved()
}
