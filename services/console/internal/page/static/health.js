// How every service is, and what waits for a person there.
import { element, find, set, sync } from "./element.js";
import { address, setPort } from "./requests.js";

const words = { ready: "ready", "not-ready": "not ready", unreachable: "no answer" };

export function showHealth({ services }) {
  for (const s of services) setPort(s.service, s.port);
  sync(find("services"), services, s => s.service, () => element("li", {},
    element("span", { class: "dot", "aria-hidden": "true" }), element("span", { class: "name" }),
    element("span", { class: "state" }), element("a", { class: "letters", rel: "noreferrer" })), drawService);
  const troubles = services.flatMap(troublesOf);
  sync(find("troubles"), troubles, t => t.key, () => element("li", {}, element("b", {}), " ", element("span", {})), (row, t) => {
    set(row.querySelector("b"), t.who);
    set(row.querySelector("span"), t.what);
  });
}

function drawService(row, s) {
  set(row, null, { "data-state": s.state, "data-lane": s.service });
  set(row.querySelector(".name"), s.service);
  set(row.querySelector(".state"), words[s.state] ?? s.state);
  const waiting = s.deadLetters ?? 0;
  const more = s.moreDeadLetters ? "+" : "";
  set(row.querySelector(".letters"), waiting ? `${waiting}${more} dead ${waiting === 1 ? "letter" : "letters"}` : "", {
    hidden: !waiting, href: `${address(s.service)}/deadletters`, title: "Events held back or given up on, as JSON",
  });
}

function troublesOf(s) {
  if (s.state === "ready") return [];
  if (s.problem) return [{ key: s.service, who: s.service, what: s.problem.replace(s.service + " ", "") }];
  const failing = s.failing ?? [];
  if (!failing.length) return [{ key: s.service, who: s.service, what: "is starting" }];
  return failing.map(check => ({ key: `${s.service}/${check.name}`, who: s.service, what: `${check.name}: ${check.detail ?? "fails"}` }));
}
