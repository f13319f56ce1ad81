// The one connection to the console's server. It comes back by itself: after an
// error, after silence, and at once when the network or the person returns.

const silence = 15000; // three beats
const pauses = [500, 1000, 2000, 4000];

export class Connection {
  #source; #watchdog; #timer; #failures = 0; #address; #closed = false;

  // handlers are by event name; onState hears "connecting", "live" and "lost".
  constructor(handlers, onState) {
    this.handlers = handlers;
    this.onState = onState;
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.#timer) this.retry(); });
    addEventListener("pagehide", () => this.#end());
    addEventListener("pageshow", () => { if (this.#closed && this.#address) this.open(this.#address); });
  }

  // open looks at an address instead of the one before.
  open(address) {
    this.#address = address;
    this.#end();
    this.#closed = false;
    const source = this.#source = new EventSource(address);
    source.onopen = () => { this.#failures = 0; this.#alive(); this.onState("live"); };
    source.onerror = () => { if (source === this.#source) this.#lost(); };
    for (const [name, handle] of Object.entries({ beat: () => {}, ...this.handlers })) {
      source.addEventListener(name, event => {
        if (source !== this.#source) return;
        this.#alive();
        handle(JSON.parse(event.data));
      });
    }
    this.#alive();
  }

  // retry does not wait for the next attempt.
  retry() {
    if (!this.#timer) return;
    this.onState("connecting");
    this.open(this.#address);
  }

  #alive() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost(), silence);
  }

  #lost() {
    this.#end();
    const wait = pauses[Math.min(this.#failures++, pauses.length - 1)];
    this.onState("lost");
    this.#timer = setTimeout(() => this.retry(), wait);
  }

  #end() {
    clearTimeout(this.#watchdog);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#source?.close();
    this.#source = undefined;
    this.#closed = true;
  }
}
