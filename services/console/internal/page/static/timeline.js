// The way of one order through the services, live while it happens.
import { element, set, shape, sync } from "./element.js";
import { tick } from "./clock.js";
import { absolute, awaitedWords, duration, lines, moment, money, offset, pauseWords, shortID, tookWords, whatHappened } from "./words.js";
import { awaitedKey, draw, lanesOf, measure } from "./lanes.js";
import { nextStep, snippet } from "./requests.js";
import { drawStatus, mark } from "./orders.js";

const pauseShown = 1000; // ms without anything that get a row of their own

// TimelineView draws one order into a place on the page.
export class TimelineView {
  #place; #timeline; #parts; #drawn = false; #watch;

  constructor(place, orderID, back) {
    this.#place = place;
    this.orderID = orderID;
    const title = element("h2", { id: "order-title", tabindex: "-1" }, `Order ${shortID(orderID)}`);
    this.#parts = {
      title,
      pill: element("span", { class: "pill", hidden: true }),
      full: element("code", { class: "full" }, orderID),
      facts: element("dl", { class: "facts" }),
      note: element("p", { class: "waiting", role: "status" }, "Asking the services…"),
      silent: element("ul", { class: "troubles" }),
      names: element("div", { class: "lane-names", "aria-hidden": "true" }),
      graph: shape("svg", { class: "graph", "aria-hidden": "true" }),
      list: element("ol", { class: "items", "aria-label": "What happened, in order" }),
    };
    const p = this.#parts;
    p.back = element("a", { class: "back", href: back }, "← Orders");
    p.legend = legend();
    p.lanes = element("div", { class: "lanes" }, p.names, p.graph, p.list);
    place.replaceChildren(p.back, element("div", { class: "head" }, title, p.pill), p.full, p.facts, p.silent, p.note, p.legend, p.lanes);
    p.legend.hidden = p.lanes.hidden = true;
    this.#watch = new ResizeObserver(() => this.#redraw());
    this.#watch.observe(p.list);
    p.list.addEventListener("toggle", () => this.#redraw(), true);
  }

  focus() { this.#parts.title.focus({ preventScroll: false }); }

  setBack(back) { set(this.#parts.back, null, { href: back }); }

  close() {
    this.#watch.disconnect();
    this.#place.replaceChildren();
  }

  // show draws the timeline as it now is.
  show(timeline) {
    const p = this.#parts;
    this.#timeline = timeline;
    const { order, items, awaited, services } = timeline;
    p.pill.hidden = !order;
    if (order) drawStatus(p.pill, order);
    drawFacts(p.facts, order);
    const silent = services.filter(s => s.problem);
    sync(p.silent, silent, s => s.service, () => element("li", {}, element("b", {}), " ", element("span", {})), (row, s) => {
      set(row.querySelector("b"), s.service);
      set(row.querySelector("span"), s.problem.replace(s.service + " ", "") + "; its part may be missing or old");
    });
    const known = order || items.length;
    p.note.hidden = Boolean(items.length);
    if (!known) set(p.note, silent.length ? "Those who answer do not know this order." : "Nobody knows this order. If it was placed just now, it will appear here.");
    else if (!items.length) set(p.note, "Nothing has been told of it so far.");
    p.legend.hidden = p.lanes.hidden = !items.length;
    this.#rows(items, awaited);
    this.#redraw();
    this.#drawn = true;
  }

  #rows(items, awaited) {
    const start = items.length ? Date.parse(items[0].at) : 0, startMicros = items.length ? micros(items[0].at) : 0;
    const rows = [];
    let latest = start;
    for (const item of items) {
      const at = Date.parse(item.at);
      if (at - latest >= pauseShown) rows.push({ key: `pause/${item.key}`, pause: at - latest, before: item });
      latest = Math.max(latest, at);
      rows.push({ key: item.key, item, after: (at - start) + (micros(item.at) - startMicros) / 1000 });
    }
    for (const a of awaited) rows.push({ key: awaitedKey(a), awaited: a });
    sync(this.#parts.list, rows, row => row.key, row => this.#makeRow(row), (node, row) => this.#drawRow(node, row));
    tick(this.#parts.list);
  }

  #makeRow(row) {
    if (row.pause) return element("li", { class: "pause" }, element("b", {}), " ", element("span", {}));
    if (row.awaited) return makeAwaited(row.awaited, this.orderID);
    const node = element("li", { class: "item", "data-lane": row.item.service },
      element("details", {},
        element("summary", {}, element("time", { class: "at" }),
          element("span", { class: "does" }, element("b", { class: "who" }, row.item.service), " ",
            element("span", { class: "verb" }), " ", element("span", { class: "object" }), " ", element("span", { class: "tries" })),
          element("span", { class: "took" })),
        element("dl", { class: "ids" })));
    if (this.#drawn) mark(node, "new");
    return node;
  }

  #drawRow(node, row) {
    if (row.pause) {
      set(node.querySelector("b"), duration(row.pause));
      set(node.querySelector("span"), pauseWords(row.before));
      return;
    }
    if (row.awaited) return;
    const { item, after } = row;
    const [verb, object] = whatHappened(item);
    if (this.#drawn && node.dataset.kind && node.dataset.kind !== item.kind) mark(node, "changed");
    set(node, null, { "data-kind": item.kind });
    set(node.querySelector(".at"), offset(after), { datetime: item.at, title: absolute(item.at) });
    set(node.querySelector(".verb"), verb);
    set(node.querySelector(".object"), object);
    set(node.querySelector(".tries"), item.attempts > 1 ? `${item.attempts} attempts` : "");
    set(node.querySelector(".took"), tookWords(item), { "data-doing": item.doing });
    this.#drawIDs(node.querySelector(".ids"), item);
  }

  #drawIDs(list, item) {
    const cause = this.#timeline.items.find(other => other.key === item.from?.[0]);
    const facts = [
      ["at", absolute(item.at)], [item.kind === "http" ? "command" : item.kind === "wrote" ? "row" : "id", item.id],
      ["type", item.type], ["sequence", item.sequence], ["attempts", item.attempts || undefined],
      ["caused by", item.causationId, cause], ["correlation", item.correlationId], ["detail", item.detail],
    ].filter(([, value]) => value !== undefined && value !== "");
    sync(list, facts, fact => fact[0], ([name]) => element("div", {}, element("dt", {}, name), element("dd", {})), (row, [, value, from]) => {
      const dd = row.querySelector("dd");
      if (!from) { set(dd, value); return; }
      if (dd.dataset.from === from.key) return;
      dd.dataset.from = from.key;
      const jump = element("button", { type: "button", class: "jump" }, `${from.service} ${whatHappened(from).join(" ")}`);
      jump.addEventListener("click", () => this.#goTo(from.key));
      dd.replaceChildren(...(item.kind === "received" ? [jump] : [value, element("br"), jump]));
    });
  }

  #goTo(key) {
    const node = [...this.#parts.list.children].find(child => child.dataset.key === key);
    if (!node) return;
    mark(node, "new");
    node.querySelector("summary").focus();
    node.scrollIntoView({ block: "nearest" });
  }

  #redraw() {
    const p = this.#parts;
    if (!this.#timeline?.items.length || p.lanes.hidden || !p.lanes.clientWidth) return;
    const lanes = lanesOf(this.#timeline), size = measure(p.lanes.clientWidth, lanes);
    p.lanes.style.setProperty("--graph", `${size.width}px`);
    p.names.hidden = !size.named;
    sync(p.names, lanes, s => s, s => element("span", { "data-lane": s }, s));
    const rows = new Map(), top = p.lanes.getBoundingClientRect().top;
    for (const node of p.list.children) {
      const head = (node.querySelector("summary") ?? node).getBoundingClientRect();
      rows.set(node.dataset.key, head.top - top + middle(head.height));
    }
    const height = p.lanes.clientHeight;
    set(p.graph, null, { width: size.width, height, viewBox: `0 0 ${size.width} ${height}` });
    p.graph.replaceChildren(...draw(this.#timeline, lanes, size, rows, height));
  }
}

// middle is where the node of a row belongs: beside its first line.
const middle = height => Math.min(height / 2, 22);

// micros are the digits of a moment below the millisecond.
const micros = at => Number((/\.\d{3}(\d{1,3})/.exec(at)?.[1] ?? "0").padEnd(3, "0"));

function drawFacts(list, order) {
  const facts = !order ? [] : [
    ["customer", order.customerName || shortID(order.customerId)], ["total", money(order.total)], ["what", lines(order.lines)],
    ["placed", order.placedAt], ["packed", order.packedAt], ["dispatched", order.dispatchedAt], ["cancelled", order.cancelledAt],
    ["because", order.cancelReason],
  ].filter(([, value]) => value);
  sync(list, facts, fact => fact[0], ([name]) => element("div", {}, element("dt", {}, name), element("dd", {})), (row, [name, value]) => {
    const dd = row.querySelector("dd");
    if (["placed", "packed", "dispatched", "cancelled"].includes(name)) {
      if (dd.firstChild?.dateTime === value) return;
      dd.replaceChildren(element("time", { datetime: value, title: absolute(value) }, moment(value)));
    } else set(dd, value);
  });
}

function makeAwaited(awaited, orderID) {
  const words = [element("b", { class: "who" }, awaited.service), " ", element("span", {}, awaitedWords(awaited))];
  const since = element("span", { class: "took", "data-elapsed": awaited.since, title: `since ${absolute(awaited.since)}` });
  const request = awaited.doing === "person" ? nextStep(awaited.service, orderID) : "";
  return element("li", { class: "awaited", "data-lane": awaited.service, "data-doing": awaited.doing },
    request
      ? element("details", {}, element("summary", {}, element("span", { class: "at" }, "…"), element("span", { class: "does" }, words), since), snippet(request))
      : element("div", { class: "line" }, element("span", { class: "at" }, "…"), element("span", { class: "does" }, words), since));
}

function legend() {
  const sign = (name, ...parts) => element("span", {}, shape("svg", { width: 26, height: 14, viewBox: "0 0 26 14", "aria-hidden": "true" }, parts), name);
  return element("p", { class: "legend" },
    sign("working", shape("line", { class: "work", "data-lane": "order", x1: 2, x2: 24, y1: 7, y2: 7 })),
    sign("an event on its way", shape("line", { class: "travel", "data-lane": "order", x1: 2, x2: 24, y1: 7, y2: 7 })),
    sign("waiting for a person", shape("line", { class: "rest", "data-lane": "packing", x1: 2, x2: 24, y1: 7, y2: 7 })));
}
