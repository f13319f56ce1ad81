// The board: the newest orders, as they happen.
import { element, find, set, sync } from "./element.js";
import { tick } from "./clock.js";
import { absolute, lines, money, shortID } from "./words.js";
import { addressed, firstOrder, snippet } from "./requests.js";

let before; // status by order id at the last drawing, to show what changed

// showOrders draws a page of orders; go makes the address of an order.
export function showOrders(page, status, chosen, go) {
  const { items, problem } = page;
  set(find("orders-problem"), problem ? `Not up to date: ${problem}` : "", { hidden: !problem });
  set(find("orders-note"), noteOf(items, status, page.nextCursor));
  find("board").hidden = items.length === 0;
  sync(find("rows"), items, order => order.orderId, makeRow, (row, order) => drawRow(row, order, chosen, go));
  drawEmpty(items.length === 0 && !problem, status);
  before = new Map(items.map(order => [order.orderId, order.status]));
  tick(find("rows"));
}

// forgetOrders makes the next drawing a first one: nothing in it is news.
export function forgetOrders() { before = undefined; }

function noteOf(items, status, more) {
  const which = status ? `${status}, ` : "";
  if (!items.length) return status;
  return more ? `${which}the newest ${items.length}` : `${which}${items.length === 1 ? "1" : `all ${items.length}`}`;
}

function makeRow() {
  return element("tr", {},
    element("th", { scope: "row" }, element("a", { class: "id" })), element("td", { class: "customer" }),
    element("td", { class: "what" }), element("td", { class: "sum" }),
    element("td", { class: "status" }, element("span", { class: "pill" })),
    element("td", { class: "age" }, element("time")));
}

function drawRow(row, order, chosen, go) {
  const was = before?.get(order.orderId);
  if (before && was !== order.status) mark(row, was === undefined ? "new" : "changed");
  const current = order.orderId === chosen;
  set(row, null, { "data-chosen": current });
  set(row.querySelector(".id"), shortID(order.orderId), { href: go(order.orderId), title: order.orderId, "aria-current": current ? "page" : null });
  set(row.querySelector(".customer"), order.customerName || shortID(order.customerId), { "data-unnamed": !order.customerName, title: order.customerId });
  set(row.querySelector(".what"), lines(order.lines));
  set(row.querySelector(".sum"), money(order.total));
  drawStatus(row.querySelector(".pill"), order);
  const age = row.querySelector("time");
  set(age, null, { datetime: order.placedAt, title: absolute(order.placedAt), "data-age": order.placedAt });
}

// drawStatus writes a status so that it can be told without colour, too.
export function drawStatus(pill, order) {
  set(pill, order.status, { "data-status": order.status, title: order.cancelReason });
}

// mark lets a row light up once.
export function mark(node, what) {
  node.classList.remove("new", "changed");
  void node.offsetWidth; // so that the animation starts again
  node.classList.add(what);
}

function drawEmpty(empty, status) {
  const box = find("no-orders");
  box.hidden = !empty || !addressed();
  box.toggleAttribute("data-first", empty && !status);
  const request = empty && !status ? firstOrder() : "";
  const wanted = `${status}/${request}`;
  if (box.hidden || box.dataset.shows === wanted) return;
  box.dataset.shows = wanted;
  if (status) {
    box.replaceChildren(element("p", {}, `No order is ${status} just now.`));
    return;
  }
  box.replaceChildren(
    element("h3", {}, "No orders yet"),
    element("p", {}, "Place the first one from a terminal. It appears here by itself; open it and watch it travel."),
    snippet(request));
}
