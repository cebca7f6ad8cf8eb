// Making and updating the page's elements. Names come from clients, so every text gets in by way of
// a text node here, and nothing else in this folder makes one.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "path", "line", "rect"]);

// What could turn text round, hide, or look like other spaces; a blank is none of it.
const ODD = /[\p{C}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u115f\u1160\u3164\uffa0\u2800\u034f]/u;

const READ_ALOUD = new Set(["title", "aria-label"]); // attributes that are shown to people

const code_point = (character) => "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");

/** What is written, control characters and the like as `U+202E`: for attributes. */
export function visible(text) {
  return ODD.test(text) ? Array.from(text, (c) => (ODD.test(c) ? `[${code_point(c)}]` : c)).join("") : text;
}

/** The same as nodes: what is no character of the text itself has a frame around it. */
function nodes_of(text) {
  if (!ODD.test(text)) return [document.createTextNode(text)];
  const out = [];
  let plain = "";
  const flush = () => {
    if (plain) out.push(document.createTextNode(plain));
    plain = "";
  };
  for (const character of text) {
    if (!ODD.test(character)) {
      plain += character;
      continue;
    }
    flush();
    const mark = document.createElement("span");
    mark.className = "odd";
    mark.append(document.createTextNode(code_point(character)));
    out.push(mark);
  }
  flush();
  return out;
}

/** An element. Children are nodes, texts, numbers, arrays of these; null and false are nothing. */
export function h(tag, attributes, ...children) {
  const element = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    const text = value === true ? "" : String(value);
    element.setAttribute(name, READ_ALOUD.has(name) ? visible(text) : text);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    if (child instanceof Node) element.append(child);
    else element.append(...nodes_of(String(child)));
  }
  return element;
}

/** A name from the wire: its direction stays its own. */
export const name = (text) => h("bdi", { class: "name" }, text);

/** Stands for what is there already under this key, and has not changed. */
const kept = (key) => h("x-keep", { "data-key": key });

/** Parts of a view that are made anew only when what they are made from is another. */
export function memory() {
  const known = new Map();
  return (key, from, make) => {
    const before = known.get(key);
    if (before && before.length === from.length && before.every((value, i) => value === from[i])) return kept(key);
    known.set(key, from);
    const made = make();
    made.setAttribute("data-key", key);
    return made;
  };
}

const key_of = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);
const alike = (a, b) => a.nodeName === b.nodeName && a.namespaceURI === b.namespaceURI;
const has_focus = (node) => (node !== document.activeElement ? node.contains(document.activeElement) : true);

function morph_attributes(old, fresh) {
  for (const { name: attribute } of [...old.attributes]) {
    const reader_owns = attribute === "open" && old.nodeName === "DETAILS";
    if (!fresh.hasAttribute(attribute) && !reader_owns) old.removeAttribute(attribute);
  }
  for (const { name: attribute, value } of fresh.attributes) {
    if (old.getAttribute(attribute) !== value) old.setAttribute(attribute, value);
  }
}

/** Makes `old` what `fresh` is, and touches only what differs: focus, selection and scroll stay. */
function morph(old, fresh) {
  if (fresh.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (fresh.nodeName === "X-KEEP") return;
  morph_attributes(old, fresh);
  fill(old, [...fresh.childNodes]);
}

/** Puts `match` in front of `next` without ever moving the element that has the focus. */
function put(parent, match, next) {
  if (!has_focus(match)) {
    parent.insertBefore(match, next);
    return next;
  }
  while (next !== match) {
    const behind = next.nextSibling;
    parent.append(next);
    next = behind;
  }
  return match.nextSibling;
}

/**
 * Makes the children of `parent` what `wanted` is. Those with `data-key` are found again wherever
 * they were. One that has the focus and is wanted no more stays, marked `data-left`, until the
 * focus has left it.
 */
export function fill(parent, wanted) {
  wanted = wanted.flat(Infinity).filter((node) => node);
  const keys = new Set(wanted.map(key_of).filter((key) => key !== null));
  const keyed = new Map();
  const pinned = new Set();
  for (const child of [...parent.childNodes]) {
    const key = key_of(child);
    if (key === null) continue;
    if (keys.has(key)) {
      keyed.set(key, child);
    } else if (has_focus(child) && child.nodeName === "TR") {
      child.setAttribute("data-left", "");
      pinned.add(child);
    } else {
      child.remove();
    }
  }
  let next = parent.firstChild;
  for (const node of wanted) {
    while (pinned.has(next)) next = next.nextSibling;
    const key = key_of(node);
    let match = null;
    if (key !== null) {
      match = keyed.get(key) ?? null;
      keyed.delete(key);
      if (match && node.nodeName !== "X-KEEP" && !alike(match, node)) match = null;
    } else if (next && key_of(next) === null && alike(next, node)) {
      match = next;
    }
    if (!match) {
      parent.insertBefore(node, next);
      continue;
    }
    next = match === next ? next.nextSibling : put(parent, match, next);
    morph(match, node);
  }
  while (next) {
    const behind = next.nextSibling;
    if (!pinned.has(next)) next.remove();
    next = behind;
  }
}
