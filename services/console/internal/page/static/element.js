// Building the page. Text always becomes a text node: nothing that a customer or
// a service sends is ever read as markup.

const drawing = "http://www.w3.org/2000/svg";

// element makes an element; what is neither text nor an element is left out.
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// shape is element for drawings.
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(drawing, tag), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter(child => child || child === 0));
  return made;
}

// set changes a node only where it differs, so that the screen stays still and a
// reader's selection stays put.
export function set(node, text, attributes = {}) {
  if (text !== null && node.textContent !== text) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    const wanted = value === true ? "" : String(value);
    if (value === undefined || value === null || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== wanted) node.setAttribute(name, wanted);
  }
  return node;
}

// sync makes the children of a node those of a list: one each, recognised by its
// key, in the list's order. Those that stay keep their focus and their state.
export function sync(parent, list, key, make, update) {
  const old = new Map();
  for (const child of parent.children) old.set(child.dataset.key, child);
  let at = parent.firstElementChild;
  for (const entry of list) {
    const name = key(entry);
    let child = old.get(name);
    old.delete(name);
    if (!child) {
      child = make(entry);
      child.dataset.key = name;
    }
    update?.(child, entry);
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  for (const child of old.values()) child.remove();
}

export const find = id => document.getElementById(id);
