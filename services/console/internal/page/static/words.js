// What things are called, and how numbers are written.

export const shortID = id => id ? "…" + id.slice(-8) : "";

const formats = new Map();

// money writes an amount of the smallest unit in its currency.
export function money({ amount, currency }) {
  try {
    if (!formats.has(currency)) formats.set(currency, new Intl.NumberFormat("en", { style: "currency", currency }));
    const format = formats.get(currency);
    return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
  } catch {
    return `${amount} ${currency}`;
  }
}

export const count = n => new Intl.NumberFormat("en").format(n);

// duration writes milliseconds as people would say them.
export function duration(ms) {
  if (ms < 0) return "0 ms";
  if (ms < 1) return "<1 ms";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9995) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return two(seconds, 60, "min", "s");
  if (seconds < 86400) return two(Math.round(seconds / 60), 60, "h", "min");
  return two(Math.round(seconds / 3600), 24, "d", "h");
}

const two = (n, size, big, small) => `${Math.floor(n / size)} ${big}` + (n % size ? ` ${n % size} ${small}` : "");

// age writes how long ago something was, roughly.
export function age(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

// offset writes how long after the start something was, to the millisecond.
export function offset(ms) {
  const sign = ms < 0 ? "−" : "+", rounded = Math.round(Math.abs(ms));
  if (rounded < 1000) return `${sign}${rounded} ms`;
  const seconds = (rounded % 60000 / 1000).toFixed(3), minutes = Math.floor(rounded / 60000);
  if (!minutes) return `${sign}${seconds} s`;
  const hours = Math.floor(minutes / 60), two = text => String(text).padStart(2, "0");
  return sign + (hours ? `${hours}:${two(minutes % 60)}` : minutes) + ":" + seconds.padStart(6, "0");
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

// moment writes a moment by the reader's clock, with the day unless it is today.
export function moment(at) {
  const date = new Date(at);
  return (date.toDateString() === new Date().toDateString() ? "" : calendar.format(date) + ", ") + clock.format(date);
}

// absolute writes a moment with its full precision, UTC.
export const absolute = at => at.replace("T", " ").replace(/(\.\d{1,6})\d*Z$/, "$1Z").replace("Z", " UTC");

// lines says what was ordered.
export function lines(list) {
  const [first, ...others] = list ?? [];
  if (!first) return "";
  return `${first.quantity} × ${first.name || first.sku}` + (others.length ? ` and ${others.length} more` : "");
}

// eventName makes "order placed" of order.events.placed.v1 and of order-placed.
// What packing and dispatch announce has happened to an order, too. A version
// that is published beside the first one says which it is.
export function eventName(type) {
  const parts = type.split(".");
  if (parts.length < 4) return type.replaceAll("-", " ").replaceAll("_", " ");
  const version = parts.at(-1);
  const name = parts.slice(2, -1).join(" ").replaceAll("_", " ") + (version === "v1" ? "" : ` (${version})`);
  if (parts[1] === "commands") return `command ${name}`;
  return `${["packing", "dispatch"].includes(parts[0]) ? "order" : parts[0]} ${name}`;
}

// whatHappened is an item of a timeline in words: a verb and its object.
export function whatHappened(item) {
  const name = eventName(item.type);
  switch (item.kind) {
    case "http": return ["was asked", item.type.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, "…")];
    case "appended": return ["recorded", name];
    case "pending": return ["is about to publish", name];
    case "published": return ["published", name];
    case "received": return ["received", name];
    case "held": return ["holds back", name];
    case "parked": return ["gave up on", name];
    case "discarded": return ["discarded", name];
    case "wrote": return ["row", item.detail ? `${name}: ${item.detail}` : name];
    case "mailed": return ["mail", item.detail ? `${name}: ${item.detail}` : name];
    default: return [item.kind, name];
  }
}

// What the time up to an item was spent with: waiting told from working.
const spent = { person: "for a person", queued: "in the queue", unsent: "to be sent", held: "held back", working: "of work" };

// tookWords says what went on between an item's cause and the item. A service
// notes what it received when it has dealt with it, so an effect can be noted
// first: then there is nothing to say.
export function tookWords(item) {
  const parts = (item.spans ?? []).filter(span => span.ms >= 0.5).map(span => `${duration(span.ms)} ${spent[span.doing]}`);
  if (parts.length) return parts.join(", ");
  if (!item.doing) return "";
  if (item.tookMs < 0) return item.doing === "travelling" ? "before confirmation" : "";
  const time = duration(item.tookMs ?? 0);
  switch (item.doing) {
    case "publishing": return `${time} to publish`;
    case "travelling": return `${time} on the way`;
    default: return `${time} of work`;
  }
}

// pauseWords says what a pause before an item was spent waiting for.
export function pauseWords(item) {
  if (["fulfilment-delayed", "fulfilment-expired"].includes(item.type)) return "until a deadline passed";
  switch (item.kind) {
    case "http": return `until somebody asked ${item.service}`;
    case "received": return `until ${item.service} took ${eventName(item.type)}`;
    case "held": return `until ${item.service} tried ${eventName(item.type)}`;
    case "published": return `until the bus had ${eventName(item.type)}`;
    case "mailed": return "until the mail";
    default: return `until ${item.service} went on`;
  }
}

// awaitedWords says what is waited for, and of whom.
export function awaitedWords(awaited) {
  if (awaited.doing === "travelling") return `${eventName(awaited.type)} is on its way`;
  if (awaited.service === "packing") return "waiting for somebody to pack it, or to reject it";
  if (awaited.service === "dispatch") return "waiting for somebody to dispatch it";
  return `waiting for somebody at ${awaited.service}`;
}
