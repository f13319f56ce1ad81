// The drawing beside the timeline: a lane a service, a node an item. A thick line
// is work inside a service; a dashed one is an event on its way, across to the
// lane of its reader and down to where it was received.
import { shape } from "./element.js";

const always = ["order", "packing", "dispatch", "crm", "reporting"];
const all = ["customer", "catalog", ...always];

// lanesOf lists the services that get a lane.
export const lanesOf = t => all.filter(s => always.includes(s) || t.items.some(item => item.service === s));

// measure finds out how wide lanes can be.
export function measure(width, lanes) {
  const roomy = width >= 700;
  const lane = roomy ? Math.min(78, (width - 500) / lanes.length) : Math.min(30, Math.max(17, width * 0.3 / lanes.length));
  return { lane, named: lane >= 58, width: Math.round(lane * lanes.length) };
}

// draw returns the parts of the drawing. rows holds, by key, the vertical middle
// of each item and awaited thing; height is that of the whole.
export function draw(t, lanes, { lane }, rows, height) {
  const x = service => Math.round(lanes.indexOf(service) * lane + lane / 2) + 0.5;
  const y = key => Math.round(rows.get(key)) + 0.5;
  const items = new Map(t.items.map(item => [item.key, item]));
  const lines = [], nodes = [];
  for (const service of lanes) lines.push(shape("line", { class: "lane", "data-lane": service, x1: x(service), x2: x(service), y1: 0, y2: height }));
  for (const item of t.items) {
    for (const from of item.from ?? []) {
      const cause = items.get(from);
      if (!cause || !rows.has(from)) continue;
      if (cause.service === item.service) {
        lines.push(shape("line", { class: "work", "data-lane": item.service, x1: x(item.service), x2: x(item.service), y1: y(from), y2: y(item.key) }));
      } else {
        lines.push(shape("path", { class: "travel", "data-lane": cause.service, d: across(x(cause.service), y(from), x(item.service), y(item.key)) }));
      }
    }
    nodes.push(node(item, x(item.service), y(item.key)));
  }
  for (const awaited of t.awaited) {
    const cause = items.get(awaited.from), key = awaitedKey(awaited);
    if (!rows.has(key)) continue;
    const to = [x(awaited.service), y(key)];
    if (cause && awaited.doing === "travelling") {
      lines.push(shape("path", { class: "travel flying", "data-lane": cause.service, d: across(x(cause.service), y(cause.key), ...to) }));
    } else if (cause) {
      lines.push(shape("line", { class: "rest", "data-lane": awaited.service, x1: to[0], x2: to[0], y1: y(cause.key), y2: to[1] }));
    }
    nodes.push(shape("circle", { class: "node awaited", "data-lane": awaited.service, cx: to[0], cy: to[1], r: 5.5 }));
  }
  return [...lines, ...nodes];
}

export const awaitedKey = awaited => `awaited/${awaited.service}/${awaited.id ?? awaited.doing}`;

// across leads from one lane to another in the row of the sender, then down.
function across(x1, y1, x2, y2) {
  if (y2 <= y1 + 1) return `M${x1} ${y1}L${x2} ${y2}`;
  const bend = Math.min(9, y2 - y1, Math.abs(x2 - x1));
  return `M${x1} ${y1}H${x2 - Math.sign(x2 - x1) * bend}Q${x2} ${y1} ${x2} ${y1 + bend}V${y2}`;
}

// node draws what kind of thing an item is: people and requests are diamonds,
// facts full discs, events sent and received rings, rows squares.
function node(item, x, y) {
  const common = { class: `node ${item.kind}`, "data-lane": item.service };
  switch (item.kind) {
    case "http": return shape("path", { ...common, d: `M${x} ${y - 7}L${x + 7} ${y}L${x} ${y + 7}L${x - 7} ${y}Z` });
    case "wrote": return shape("rect", { ...common, x: x - 4, y: y - 4, width: 8, height: 8, rx: 1.5 });
    case "mailed": return shape("path", { ...common, d: `M${x - 7} ${y - 5}h14v10h-14zl7 5.5l7 -5.5` });
    case "parked": case "discarded": return shape("path", { ...common, d: `M${x} ${y - 7}L${x + 7} ${y + 5.5}L${x - 7} ${y + 5.5}Z` });
    default: return shape("circle", { ...common, cx: x, cy: y, r: 5.5 });
  }
}
