// The figures of management. The counts of orders are the filter of the board.
import { element, find, set, sync } from "./element.js";
import { count, duration, money } from "./words.js";

export const statuses = ["placed", "packed", "dispatched", "cancelled"];

let shown = { figures: null };

// showFigures draws what reporting told; go makes the address of a filter.
export function showFigures(summary, chosen, go) {
  shown = summary ?? shown;
  const { figures, problem } = shown;
  drawFilters(figures, chosen, go);
  drawSums(figures);
  set(find("figures-problem"), problem ? `No newer figures: ${problem}` : "", { hidden: !problem });
}

function drawFilters(figures, chosen, go) {
  const counts = figures?.ordersByStatus;
  const all = counts && statuses.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  const filters = [{ status: "", name: "all", n: all }, ...statuses.map(status => ({ status, name: status, n: counts && (counts[status] ?? 0) }))];
  sync(find("statuses"), filters, f => f.name, () => element("a", {}, element("b", {}), element("span", {})), (link, f) => {
    set(link, null, { href: go(f.status), "data-status": f.name, "aria-current": f.status === chosen ? "true" : null });
    set(link.querySelector("b"), f.n === undefined || f.n === null ? "–" : count(f.n));
    set(link.querySelector("span"), f.name);
  });
}

function drawSums(figures) {
  const [revenue = "–", ...others] = (figures?.revenue ?? []).map(money);
  const sums = [
    { name: "revenue", value: revenue, note: [...others.map(text => `and ${text}`), "without cancelled orders"].join("; ") },
    spread("time to pack", figures?.timeToPack),
    spread("time to dispatch", figures?.timeToDispatch),
    lateness(figures),
  ];
  sync(find("figures"), sums, s => s.name, () => element("div", {}, element("dt", {}), element("dd", {}), element("dd", { class: "note" })), (row, s) => {
    const [value, note] = row.querySelectorAll("dd");
    set(row.querySelector("dt"), s.name);
    set(value, s.value);
    set(note, s.note);
  });
}

function lateness(figures) {
  const { packing = 0, dispatch = 0 } = figures?.delayed ?? {};
  const note = `${count(packing)} in packing, ${count(dispatch)} in dispatch; ${count(figures?.returned ?? 0)} brought back`;
  return { name: "too late", value: figures ? count(packing + dispatch) : "–", note: figures ? note : "" };
}

function spread(name, times) {
  if (typeof times?.medianMs !== "number") return { name, value: "–", note: "median" };
  return { name, value: duration(times.medianMs), note: `median; 95 % within ${duration(times.p95Ms)}` };
}
