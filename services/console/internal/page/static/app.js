// The console: what the address says is shown, and what the server tells is drawn.
//
//   #/                       the board
//   #/?status=packed         the board, one status
//   #/orders/<id>?status=…   and one order beside it
import { element, find, set } from "./element.js";
import { setClock, tick } from "./clock.js";
import { Connection } from "./connection.js";
import { showFigures, statuses } from "./figures.js";
import { showHealth } from "./health.js";
import { forgetOrders, showOrders } from "./orders.js";
import { firstOrder, snippet } from "./requests.js";
import { TimelineView } from "./timeline.js";
import { moment, shortID } from "./words.js";

const form = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let route = {}, orders = null, view = null, seen = null;

function read() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  const order = /^\/orders\/(.+)$/.exec(path)?.[1] ?? "";
  const status = new URLSearchParams(query).get("status") ?? "";
  return { order: form.test(order) ? order : "", status: statuses.includes(status) ? status : "" };
}

const link = (order, status) => `#/${order ? `orders/${order}` : ""}${status ? `?status=${status}` : ""}`;

function drawOrders() {
  if (orders) showOrders(orders, route.status, route.order, id => link(id, route.status));
}

function drawFigures(summary) {
  showFigures(summary, route.status, status => link(route.order, status));
}

function drawOrder(timeline) {
  if (timeline.orderId !== view?.orderID) return;
  view.show(timeline);
  const status = timeline.order?.status;
  if (seen && status && seen !== status) set(find("news"), `Order ${shortID(timeline.orderId)} is ${status}`);
  seen = status;
}

// follow shows what the address says.
function follow() {
  const next = read(), first = route.order === undefined;
  const moved = next.order !== route.order, filtered = next.status !== route.status;
  route = next;
  if (moved) {
    const last = view?.orderID;
    view?.close();
    seen = null;
    view = route.order ? new TimelineView(find("order"), route.order, link("", route.status)) : null;
    if (!view) showInvitation();
    document.body.dataset.view = route.order ? "order" : "orders";
    document.title = route.order ? `Order ${shortID(route.order)} · orderflow` : "orderflow console";
    if (!first) arrive(last);
  }
  view?.setBack(link("", route.status));
  if (filtered) { orders = null; forgetOrders(); }
  if (moved || filtered) connection.open("/api/events?" + new URLSearchParams({ ...route.status && { status: route.status }, ...route.order && { order: route.order } }));
  drawOrders();
  drawFigures();
}

// arrive puts the focus where the person went: to the order, or back to its row.
function arrive(last) {
  if (view) { view.focus(); return; }
  const row = [...find("rows").children].find(child => child.dataset.key === last);
  (row?.querySelector("a") ?? find("orders")).focus();
}

function showInvitation() {
  const another = element("details", {}, element("summary", {}, "A request that places an order"));
  // The addresses are known once health has been told.
  another.addEventListener("toggle", () => another.querySelector(".snippet") ?? another.append(snippet(firstOrder())));
  find("order").replaceChildren(element("div", { class: "invitation" },
    element("h2", { id: "order-title" }, "Follow an order"),
    element("p", {}, "Open one to see its way through the services: what each was asked, recorded, published and received, when, and what is waited for. It goes on while you watch."),
    another));
}

let lostSince = null;

function onState(state) {
  const banner = find("lost");
  set(find("connection"), { live: "live", connecting: "connecting", lost: "not connected" }[state], { "data-state": state });
  if (state === "lost") {
    lostSince ??= new Date();
    if (banner.hidden) {
      const again = document.createElement("button");
      again.type = "button";
      again.textContent = "Try now";
      again.addEventListener("click", () => connection.retry());
      banner.replaceChildren(`The console does not answer. What is shown is as of ${moment(lostSince)}; it is tried again by itself. `, again);
      banner.hidden = false;
      document.body.dataset.stale = "";
    }
  }
  if (state === "live" && lostSince) {
    lostSince = null;
    banner.hidden = true;
    delete document.body.dataset.stale;
    forgetOrders(); // what comes now is the state, not news
    set(find("news"), "The console is back.");
  }
}

const connection = new Connection({
  beat: ({ now }) => { setClock(now); tick(); },
  orders: page => { orders = page; drawOrders(); },
  summary: drawFigures,
  health: health => { showHealth(health); drawOrders(); },
  timeline: drawOrder,
}, onState);

find("find").addEventListener("submit", event => {
  event.preventDefault();
  const wanted = find("wanted").value.trim().toLowerCase();
  const bad = wanted !== "" && !form.test(wanted);
  set(find("find-problem"), bad ? "That is not the id of an order." : "");
  set(find("wanted"), null, { "aria-invalid": bad ? "true" : null });
  if (wanted && !bad) {
    location.hash = link(wanted, route.status);
    find("wanted").value = "";
  }
});
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault();
  find("orders").focus();
});
addEventListener("hashchange", follow);
follow();
