// Requests to try, with the addresses at which this system is reached.
import { element } from "./element.js";

const ports = {};

export const setPort = (service, port) => { ports[service] = port; };

export const address = service => `http://${location.hostname}:${ports[service]}`;

// addressed reports whether the addresses are known: health tells them.
export const addressed = () => "customer" in ports;

const json = "-H 'Content-Type: application/json'";

// firstOrder lists a product, registers a customer and orders: the last request
// is repeated until order has heard of both.
export const firstOrder = () => `curl -s ${address("catalog")}/products ${json} \\
  -d '{"sku":"MUG-1","name":"Enamel mug","price":{"amount":1290,"currency":"EUR"}}'

customer=$(curl -s ${address("customer")}/customers ${json} \\
  -d '{"name":"Ada Lovelace","email":"ada@example.com","address":{"line1":"7 Mill Lane","city":"London","postcode":"SW1Y 4JH","country":"GB"}}' \\
  | sed 's/.*"customerId":"\\([^"]*\\)".*/\\1/')

curl -sf --retry 9 --retry-all-errors ${address("order")}/orders ${json} \\
  -d "{\\"customerId\\":\\"$customer\\",\\"lines\\":[{\\"sku\\":\\"MUG-1\\",\\"quantity\\":2}]}"`;

// nextStep is what a person would do now, or nothing.
export function nextStep(service, orderID) {
  if (service === "packing") return `curl -s ${address("packing")}/jobs/${orderID}/pack ${json} \\\n  -d '{"packedBy":"Mia"}'`;
  if (service === "dispatch") {
    return `curl -s ${address("dispatch")}/shipments/${orderID}/dispatch ${json} \\\n  -d '{"carrier":"DHL","trackingNumber":"JD014600003828"}'`;
  }
  return "";
}

// snippet shows a request, with a button that copies it.
export function snippet(text) {
  const button = element("button", { type: "button", class: "copy" }, "Copy");
  const code = element("code", { tabindex: "0", "aria-label": "Request to try" }, text);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch { // not allowed here: select it, so that one key copies it
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return element("div", { class: "snippet" }, element("pre", {}, code), button);
}
