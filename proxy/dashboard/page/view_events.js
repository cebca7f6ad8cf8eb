// The audit as it is written, the newest first.

import { h, name } from "./dom.js";
import { choice, field, form, matcher } from "./table.js";
import { clock, number, small, time, who } from "./words.js";

const SHOWN = 200; // in the document at once

const BAD = new Set([
  "tls_failed",
  "auth_failed",
  "rejected",
  "upstream_failed",
  "reload_failed",
  "inventory_failed",
  "events_dropped",
  "left_out",
]);
const DOUBT = new Set(["client_changed", "upstream_certificate", "stopping", "console_command", "capture_started"]);

let paused = null; // the events as they were when the reader stopped them

const css_of = (event) => (BAD.has(event) ? "bad" : DOUBT.has(event) ? "doubt" : null);

/** What is told about it in one line; the whole of it unfolds. */
function gist(e) {
  return [
    e.reason,
    e.message,
    e.error,
    e.count !== undefined && e.event === "events_dropped" && `${number(e.count)} lost`,
    e.event === "left_out" && `${number(e.count)} events before this were not sent to this page: the audit has them`,
    e.event === "connected" && (e.ssl ? e.version : "in clear text"),
    e.subject,
    e.by,
  ]
    .filter(Boolean)
    .map((text, i) => [i > 0 && " · ", name(text)]);
}

const when = (text, now) =>
  time(text, text.slice(0, 10) === now.slice(0, 10) ? clock : (t) => `${t.slice(0, 10)} ${clock(t)}`);

function item(e, now) {
  const { key, ...line } = e;
  return h(
    "li",
    { "data-key": key, class: "event" },
    h(
      "details",
      null,
      h(
        "summary",
        null,
        when(e.ts, now),
        " ",
        h("b", { class: css_of(e.event) }, e.event),
        " ",
        e.usename !== undefined &&
          e.usename !== null && [who(e), " ", e.application_name && [small(name(e.application_name)), " "]],
        e.client_addr && ["from ", name(e.client_addr), " "],
        small(gist(e)),
        e.weak && small(h("b", { class: "bad" }, " weak")),
      ),
      h("pre", null, JSON.stringify(line, null, 1)),
    ),
  );
}

function list(events, query, now) {
  const [kind, fits] = [query.get("show"), matcher(query.get("text"))];
  const matching = events.filter((e) => (!kind || e.event === kind) && fits(JSON.stringify(e).toLowerCase()));
  const shown = matching.slice(0, SHOWN);
  return h(
    "div",
    null,
    h(
      "p",
      { class: "count" },
      `${number(shown.length)} shown, of ${number(events.length)} that this page has heard of`,
    ),
    h(
      "ol",
      { class: "events" },
      shown.map((e) => item(e, now)),
    ),
  );
}

export default {
  id: "events",
  title: "Events",
  needs: [],
  actions: {
    pause: (_value, _element, changed, store) => {
      paused = paused ? null : store.events;
      changed();
    },
  },
  render(store, query, keep) {
    if (store.overview.kind === "fleet")
      return [h("p", { class: "faint" }, "A fleet's inventory has no events: each proxy's own dashboard does.")];
    const events = paused ?? store.events;
    const kinds = [...new Set(events.map((e) => e.event))].sort();
    const behind = paused ? store.events.findIndex((e) => e.key === paused[0]?.key) : 0;
    return [
      keep("filters", [kinds.join(" "), paused !== null], () =>
        form(
          field("Show only", "text", query.get("text"), "words"),
          choice(
            "Event",
            "show",
            query.get("show"),
            [["", "any"], ...new Set([...kinds, query.get("show")].filter(Boolean))].map((k) =>
              Array.isArray(k) ? k : [k, k],
            ),
          ),
          h("button", { type: "button", "data-do": "pause", "aria-pressed": paused ? "true" : "false" }, "Pause"),
        ),
      ),
      paused &&
        h(
          "p",
          { class: "doubt", "data-key": "paused" },
          `Paused: ${number(behind < 0 ? store.events.length : behind)} newer are held back.`,
        ),
      events.length === 0
        ? h("p", { class: "faint" }, "Nothing has happened yet.")
        : keep("events", [events, query.toString()], () => list(events, query, store.overview.generated)),
    ];
  },
};
