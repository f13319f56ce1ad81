// Ages are reckoned by the server's clock and keep growing by themselves.
import { age, duration } from "./words.js";

let ahead = 0; // of the server's clock, in ms

export const setClock = now => { ahead = Date.parse(now) - Date.now(); };
export const serverNow = () => Date.now() + ahead;

// tick writes every age on the page anew. data-age holds a moment, data-elapsed
// too, and is written more precisely.
export function tick(root = document) {
  const now = serverNow();
  for (const node of root.querySelectorAll("[data-age]")) write(node, age(now - Date.parse(node.dataset.age)));
  for (const node of root.querySelectorAll("[data-elapsed]")) {
    const seconds = Math.max(0, Math.floor((now - Date.parse(node.dataset.elapsed)) / 1000));
    write(node, seconds < 1 ? "" : duration(seconds * 1000));
  }
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

setInterval(() => tick(), 1000);
