// The page's frame: which view is open, what is said above it, and what keys and clicks do. What a
// view is set to (filter, order, page, what is unfolded) is in the address, so a link to it is enough.

import { fill, h, memory, name } from "./dom.js";
import { show, start, store } from "./store.js";
import { next_sort } from "./table.js";
import { clock, number, time } from "./words.js";
import { above } from "./above.js";
import now from "./view_now.js";
import clients from "./view_clients.js";
import servers from "./view_servers.js";
import rotation from "./view_rotation.js";
import captures from "./view_captures.js";
import events from "./view_events.js";

const VIEWS = [now, clients, servers, rotation, captures, events];
const QUIET = 800; // ms after the last key before a filter's outcome is said
const $ = (id) => document.getElementById(id);

let view = null;
let query = new URLSearchParams();
let remembered = memory();
let frame = null;
let typing = null;

const route_of = (hash) => {
  const [id, rest] = [hash.replace(/^#/, "").split("?", 1)[0], hash.slice(hash.indexOf("?") + 1)];
  return [VIEWS.find((v) => v.id === id) ?? now, new URLSearchParams(hash.includes("?") ? rest : "")];
};

/** Said to who does not see the page; the same sentence is not said twice. */
function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

let criticals = null; // those that were said; their numbers may grow

/** A critical warning that was not there before is said at once; the first ones stand where reading begins. */
function say_new_warnings() {
  const now = new Map(
    (store.overview?.warnings ?? [])
      .filter((w) => w.severity === "critical")
      .map((w) => [w.text.replace(/[\d.]+/g, "#"), w.text]),
  );
  const fresh = criticals && [...now].filter(([kind]) => !criticals.has(kind)).map(([, text]) => text);
  if (fresh?.length > 0) say(`Critical: ${fresh.join("; ")}`);
  if (store.overview) criticals = new Set(now.keys());
}

function header() {
  const { overview, lost } = store;
  const proxy = overview?.proxy;
  const who = !overview
    ? ""
    : proxy
      ? [
          name(proxy.name),
          " ",
          h("span", { class: "faint" }, `${proxy.version ?? ""}, started `, time(proxy.started)),
          proxy.phase !== "serving" && h("strong", { class: "doubt" }, ` ${proxy.phase}`),
        ]
      : ["a fleet ", h("span", { class: "faint" }, `of ${number(overview.proxies?.length)} proxies`)];
  fill(
    $("who"),
    [who]
      .flat()
      .filter(Boolean)
      .map((part) => (part instanceof Node ? part : document.createTextNode(part))),
  );
  const pulse = !overview ? "connecting" : lost?.polled ? "not live" : lost ? "not connected" : "live";
  fill($("pulse"), [
    h("span", { class: lost ? "bad" : overview ? "good" : "doubt" }, pulse),
    overview && h("span", { class: "faint" }, ` ${clock(overview.generated)} UTC`),
  ]);
}

function banner() {
  const { lost } = store;
  $("content").classList.toggle("then", lost !== null && !lost.polled);
  if (!lost) return fill($("banner"), []);
  if (lost.polled)
    return fill($("banner"), [
      h(
        "p",
        null,
        "There is no place for one more page that is kept up to date: ",
        "this one asks every few seconds, and hears of no events.",
      ),
    ]);
  const since = lost.since
    ? `Not connected since ${clock(lost.since)} UTC; what is below is of then`
    : "Not connected: nothing is known yet";
  return fill($("banner"), [h("p", null, since, lost.why ? ` (${lost.why}).` : ".", " It is tried again and again.")]);
}

function navigation() {
  fill($("views"), [
    h(
      "ul",
      null,
      VIEWS.map((v) =>
        h(
          "li",
          { "data-key": v.id },
          h("a", { href: `#${v.id}`, "aria-current": v === view ? "page" : null }, v.title),
        ),
      ),
    ),
  ]);
}

/** Which of what the view needs is not there, or could not be renewed. */
function sources_of(v) {
  return v.needs
    .map((source) => [source, store.sources[source]])
    .filter(([, { error }]) => error)
    .map(([source, { data, error }]) =>
      h(
        "p",
        { class: "doubt", "data-key": `error ${source}` },
        data
          ? `The ${source} below are of ${clock(data.generated)} and could not be renewed: ${error}.`
          : `The ${source} are not there yet: ${error}.`,
      ),
    );
}

function render() {
  frame = null;
  header();
  banner();
  say_new_warnings();
  fill($("missing"), above(store));
  const parts = store.overview
    ? view.render(store, query, remembered)
    : [h("p", { class: "faint" }, store.lost ? "" : "Asking…")];
  fill($("view"), [h("h2", { id: "view-title", tabindex: "-1" }, view.title), sources_of(view), parts]);
  const whose = store.overview?.proxy?.name ?? (store.overview ? "fleet" : "");
  const title = `${store.lost && !store.lost.polled ? "(not connected) " : ""}${view.title} – pgairlock ${whose}`;
  if (document.title !== title) document.title = title;
}

function changed() {
  frame ??= requestAnimationFrame(render);
}

/** Sets fields to what the address says, except the one that is being typed in. */
function bind() {
  for (const control of $("view").querySelectorAll("[data-bind]")) {
    const value = query.get(control.dataset.bind) ?? "";
    if (control !== document.activeElement && control.value !== value) control.value = value;
  }
}

function set(changes, said) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(key);
    else query.set(key, value);
  }
  render();
  clearTimeout(typing);
  typing = setTimeout(
    () => {
      const text = query.toString();
      history.replaceState(null, "", `#${view.id}${text ? `?${text}` : ""}`);
      if (said) say($("view").querySelector(".count")?.textContent ?? "");
    },
    said ? QUIET : 0,
  );
}

function route() {
  const [wanted, its_query] = route_of(location.hash);
  const other = view !== wanted;
  const first = view === null;
  view = wanted;
  query = its_query;
  if (other) {
    remembered = memory();
    fill($("view"), []);
    show(view.needs);
  }
  navigation();
  render();
  bind();
  if (other && !first) {
    $("view-title").focus({ preventScroll: true });
    if ($("content").getBoundingClientRect().top < 0) $("views").scrollIntoView();
  }
}

const ACTIONS = {
  skip: () => $("content").focus(),
  sort: (id) => set({ sort: next_sort(query.get("sort"), id), page: null }),
  page: (to, element) =>
    element.getAttribute("aria-disabled") !== "true" && set({ page: to === "1" ? null : to }, true),
  toggle: (key) => {
    const open = query.getAll("open");
    query.delete("open");
    for (const one of open.includes(key) ? open.filter((k) => k !== key) : [...open, key]) query.append("open", one);
    set({});
  },
};

function click(event) {
  const element = event.target.closest("[data-do]");
  if (!element) return;
  const row = element.tagName === "TR";
  if (row && (event.target.closest("a, button, summary, input") || !getSelection().isCollapsed)) return;
  const { do: what, value } = element.dataset;
  if (what === "skip") event.preventDefault();
  (view.actions?.[what] ?? ACTIONS[what])(value, element, changed, store);
}

function input(event) {
  const { bind: key } = event.target.dataset;
  if (key) set({ [key]: event.target.value, page: null }, true);
}

document.addEventListener("click", click);
document.addEventListener("input", input);

/** A row that was wanted no more while it had the focus goes with it. */
document.addEventListener("focusout", ({ target }) => {
  const row = target.closest?.("[data-left]");
  setTimeout(() => row && !row.contains(document.activeElement) && row.remove());
});
document.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", route);
route();
start(changed);
