// What happens at this moment: who is connected and how, how fast logins are. For a fleet, which has
// no sessions here: its proxies and clients.

import { line_chart, share_bar, swatch } from "./chart.js";
import { h, name } from "./dom.js";
import { sessions } from "./session_list.js";
import { table } from "./table.js";
import { tiles } from "./tiles.js";
import { bytes, duration, minute, number, plural, rate, small, time, UNKNOWN } from "./words.js";

const MODES = [
  ["plain", "m-plain", "in clear text"],
  ["tls_not_verifying", "m-old", "TLS, not verifying (proven)"],
  ["unknown", "m-other", "TLS; not known whether they verify"],
  ["verifying", "m-t13", "verifying"],
];

function sessions_by_mode({ sessions }) {
  const parts = MODES.map(([id, css, title]) => ({ count: sessions[id] ?? 0, css, title, known: sessions[id] }));
  return h(
    "section",
    { class: "panel" },
    h("h3", null, "Open sessions"),
    h("p", { class: "big" }, number(sessions.total)),
    share_bar(parts, "Open sessions by mode; the numbers are below"),
    h(
      "ul",
      { class: "keys" },
      parts.map((part) => h("li", null, swatch(part.css), h("b", null, number(part.known)), ` ${part.title}`)),
    ),
  );
}

function rates(now, history) {
  const lines = [
    { css: "l-good", of: (point) => point.logins_per_s },
    { css: "l-bad", of: (point) => point.failures_per_s },
  ];
  return h(
    "section",
    { class: "panel" },
    h("h3", null, "Logins and failures per second"),
    h(
      "p",
      { class: "figures" },
      h("span", null, h("b", null, rate(now.logins_per_s)), " logins (line)"),
      h(
        "span",
        null,
        h("b", { class: now.failures_per_s > 0 ? "bad" : null }, rate(now.failures_per_s)),
        " failures (dashes)",
      ),
    ),
    line_chart(history, lines, "Logins and failures per second over the last 5 minutes"),
  );
}

/** Beyond the last bound it is not known how much. */
const at_most = (ms) =>
  ms === null || ms === undefined ? "more than 60 s" : `${ms < 10 ? Number(ms.toFixed(1)) : number(ms)} ms`;

function login_times({ login_ms }) {
  const of = login_ms?.of ?? 0;
  const row = (title, ms) => h("tr", null, h("th", { scope: "row" }, title), h("td", { class: "number" }, at_most(ms)));
  return h(
    "section",
    { class: "panel" },
    h("h3", null, "Time of a login, at most"),
    of === 0
      ? h("p", { class: "faint" }, "No login in the last 60 seconds, so it is not known.")
      : [
          h(
            "table",
            { class: "pairs" },
            h(
              "tbody",
              null,
              row("half of them", login_ms.p50),
              row("95 of 100", login_ms.p95),
              row("99 of 100", login_ms.p99),
            ),
          ),
          h("p", { class: "faint" }, `Of ${plural(of, "login")} in the last 60 seconds.`),
        ],
  );
}

const LISTENERS = [
  { id: "listener", title: "Listener", cell: (row) => name(row.listener) },
  { id: "sessions", title: "Sessions", class: "number", cell: (row) => number(row.sessions) },
  { id: "logins", title: "Logins/s", class: "number", cell: (row) => rate(row.logins_per_s) },
  {
    id: "failures",
    title: "Failures/s",
    class: "number",
    cell: (row) => h("span", { class: row.failures_per_s > 0 ? "bad" : null }, rate(row.failures_per_s)),
  },
  { id: "in", title: "From clients", class: "number", cell: (row) => `${bytes(row.bytes_from_client_per_s)}/s` },
  { id: "out", title: "From servers", class: "number", cell: (row) => `${bytes(row.bytes_from_server_per_s)}/s` },
];

const PROXIES = [
  { id: "name", title: "Proxy", cell: (p) => [name(p.name), small(p.version ?? UNKNOWN)] },
  {
    id: "heard",
    title: "Heard of",
    cell: (p) =>
      p.silent_s !== null && p.silent_s !== undefined
        ? h("b", { class: "bad" }, `silent for ${duration(p.silent_s)}`)
        : [h("span", null, "reports"), small("last ", time(p.last_seen, minute))],
  },
  { id: "started", title: "Started", cell: (p) => time(p.started) },
  { id: "listeners", title: "Listeners", cell: (p) => [p.listeners ?? UNKNOWN].flat().join(" ") },
  {
    id: "dropped",
    title: "Events dropped",
    class: "number",
    cell: (p) => h("span", { class: p.events_dropped > 0 ? "bad" : null }, number(p.events_dropped)),
  },
  {
    id: "left",
    title: "Rows forgotten",
    class: "number",
    cell: (p) => h("span", { class: p.rows_left_out > 0 ? "bad" : null }, number(p.rows_left_out)),
  },
];

function proxies(overview) {
  const worst_first = [...overview.proxies].sort((a, b) => (b.silent_s ?? -1) - (a.silent_s ?? -1));
  const silent = worst_first.filter((p) => p.silent_s !== null && p.silent_s !== undefined).length;
  return h(
    "section",
    { "data-key": "proxies" },
    h("h3", null, `Proxies: ${number(worst_first.length)}${silent > 0 ? `, ${number(silent)} silent` : ""}`),
    worst_first.length === 0
      ? h("p", { class: "faint" }, "None is known.")
      : table({ label: "Proxies", columns: PROXIES, rows: worst_first, key: (p) => p.id, kind: "cards" }),
  );
}

export default {
  id: "now",
  title: "Now",
  needs: ["sessions", "certificates"],
  render(store, query, keep) {
    const { overview } = store;
    const { now } = overview;
    if (!now) {
      return [
        tiles(store),
        h(
          "p",
          { class: "faint", "data-key": "fleet" },
          "A fleet's inventory knows no open sessions: each proxy's own dashboard does.",
        ),
        proxies(overview),
      ];
    }
    return [
      tiles(store),
      h(
        "div",
        { class: "panels", "data-key": "panels" },
        sessions_by_mode(now),
        rates(now, store.history),
        login_times(now),
      ),
      now.by_listener.length > 0 &&
        h(
          "section",
          { "data-key": "listeners" },
          h("h3", null, "By listener"),
          table({
            label: "By listener",
            columns: LISTENERS,
            rows: now.by_listener,
            key: (row) => row.listener,
            kind: "cards",
          }),
        ),
      sessions(store, query, keep),
      overview.proxies.length > 1 && proxies(overview),
    ];
  },
};
