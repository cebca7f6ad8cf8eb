// What happens at this moment: who is connected and how, how fast logins are. For a fleet, which has
// no sessions here: its proxies and clients.

import { line_chart, share_bar, swatch } from "./chart.js";
import { h, name } from "./dom.js";
import { choice, field, form, matcher, page_of, pager, sorted, table } from "./table.js";
import { tiles } from "./tiles.js";
import { ago, bytes, duration, minute, number, plural, rate, small, sslmode, time, UNKNOWN, who } from "./words.js";

const MODES = [
  ["plain", "m-plain", "in clear text"],
  ["tls_not_verifying", "m-old", "TLS, not verifying (proven)"],
  ["unknown", "m-other", "TLS; not known whether they verify"],
  ["verifying", "m-t13", "verifying"],
];

function sessions_by_mode({ sessions }) {
  const parts = MODES.map(([id, css, title]) => ({ count: sessions[id] ?? 0, css, title, known: sessions[id] }));
  return h("section", { class: "panel" },
    h("h3", null, "Open sessions"),
    h("p", { class: "big" }, number(sessions.total)),
    share_bar(parts, "Open sessions by mode; the numbers are below"),
    h("ul", { class: "keys" }, parts.map((part) => h("li", null, swatch(part.css), h("b", null, number(part.known)), ` ${part.title}`))));
}

function rates(now, history) {
  const lines = [{ css: "l-good", of: (point) => point.logins_per_s }, { css: "l-bad", of: (point) => point.failures_per_s }];
  return h("section", { class: "panel" },
    h("h3", null, "Logins and failures per second"),
    h("p", { class: "figures" },
      h("span", null, h("b", null, rate(now.logins_per_s)), " logins (line)"),
      h("span", null, h("b", { class: now.failures_per_s > 0 ? "bad" : null }, rate(now.failures_per_s)), " failures (dashes)")),
    line_chart(history, lines, "Logins and failures per second over the last 5 minutes"));
}

/** Beyond the last bound it is not known how much. */
const at_most = (ms) => (ms === null || ms === undefined ? "more than 60 s" : `${ms < 10 ? Number(ms.toFixed(1)) : number(ms)} ms`);

function login_times({ login_ms }) {
  const of = login_ms?.of ?? 0;
  const row = (title, ms) => h("tr", null, h("th", { scope: "row" }, title), h("td", { class: "number" }, at_most(ms)));
  return h("section", { class: "panel" },
    h("h3", null, "Time of a login, at most"),
    of === 0
      ? h("p", { class: "faint" }, "No login in the last 60 seconds, so it is not known.")
      : [h("table", { class: "pairs" }, h("tbody", null, row("half of them", login_ms.p50), row("95 of 100", login_ms.p95), row("99 of 100", login_ms.p99))),
         h("p", { class: "faint" }, `Of ${plural(of, "login")} in the last 60 seconds.`)]);
}

const LISTENERS = [
  { id: "listener", title: "Listener", cell: (row) => name(row.listener) },
  { id: "sessions", title: "Sessions", class: "number", cell: (row) => number(row.sessions) },
  { id: "logins", title: "Logins/s", class: "number", cell: (row) => rate(row.logins_per_s) },
  { id: "failures", title: "Failures/s", class: "number", cell: (row) => h("span", { class: row.failures_per_s > 0 ? "bad" : null }, rate(row.failures_per_s)) },
  { id: "in", title: "From clients", class: "number", cell: (row) => `${bytes(row.bytes_from_client_per_s)}/s` },
  { id: "out", title: "From servers", class: "number", cell: (row) => `${bytes(row.bytes_from_server_per_s)}/s` },
];

const mode_of = (s) => (s.ssl === false ? "plain" : s.verifies === "no" ? "tls_not_verifying" : s.verifies === "yes" ? "verifying" : "unknown");
const MODE_WORD = { plain: "in clear", tls_not_verifying: "not verifying", unknown: "unknown", verifying: "verifying" };
const RANK = { plain: 0, tls_not_verifying: 1, unknown: 2, verifying: 3 };
const MODE_CLASS = { plain: "bad", tls_not_verifying: "bad", unknown: "doubt", verifying: "good" };
const badness = (s) => RANK[mode_of(s)] * 2 + (s.weak ? 0 : 1);

const session_columns = (generated) => [
  { id: "client", title: "Client", class: "long", value: (s) => s.client_addr, cell: (s) => [s.client_addr ? name(s.client_port > 0 ? `${s.client_addr}:${s.client_port}` : s.client_addr) : "local", small(s.session)] },
  { id: "user", title: "User@database", class: "who", value: (s) => `${s.usename}@${s.datname}`, cell: (s) => [who(s), s.application_name && small(name(s.application_name))] },
  { id: "state", title: "State", class: "word", value: badness, cell: (s) => [h("span", { class: MODE_CLASS[mode_of(s)] }, MODE_WORD[mode_of(s)]), s.weak && small(h("b", { class: "bad" }, "weak")), s.version && small(s.version)] },
  { id: "sslmode", title: "sslmode", cell: (s) => sslmode(s.sslmode_min, s.sslmode_max) },
  { id: "listener", title: "Listener", value: (s) => s.listener, cell: (s) => name(s.listener) },
  { id: "server", title: "Server", class: "who", value: (s) => s.upstream_addr, cell: (s) => [name(s.upstream_addr ?? s.upstream ?? UNKNOWN), small(s.upstream_ssl === false ? h("b", { class: "bad" }, "in clear") : s.upstream_version ?? UNKNOWN)] },
  { id: "since", title: "Since", value: (s) => s.backend_start, cell: (s) => [time(s.backend_start), small(ago(s.backend_start, generated))] },
  { id: "does", title: "Does", value: (s) => s.state, cell: (s) => s.state ?? UNKNOWN },
  { id: "bytes", title: "Bytes in, out", class: "number", value: (s) => (s.bytes_from_client ?? 0) + (s.bytes_from_server ?? 0), cell: (s) => [bytes(s.bytes_from_client), small(bytes(s.bytes_from_server))] },
];

const MODE_CHOICES = [["", "any"], ...MODES.map(([id]) => [id, MODE_WORD[id]]), ["weak", "weak"]];
const is_shown = (mode) => (s) => !mode || (mode === "weak" ? s.weak : mode_of(s) === mode);

function session_table(data, query) {
  const columns = session_columns(data.generated);
  const fits = matcher(query.get("text"));
  const text_of = (s) => [s.session, s.client_addr, s.usename, s.datname, s.application_name, s.listener, s.upstream, s.upstream_addr, MODE_WORD[mode_of(s)], s.version].join(" ").toLowerCase();
  const matching = data.sessions.filter(is_shown(query.get("show"))).filter((s) => fits(text_of(s)));
  const rows = sorted([...matching].sort((a, b) => badness(a) - badness(b)), columns, query.get("sort"));
  const page = page_of(rows, query.get("page"));
  return h("div", null,
    data.left_out > 0 && h("p", { class: "doubt" }, `${plural(data.left_out, "session")} left out of this list: it has the first ${number(data.sessions.length)} of ${number(data.total)}, weak ones first.`),
    pager(page, matching.length, data.sessions.length, "sessions"),
    rows.length > 0 && table({ label: "Sessions, worst first", columns, rows: page.rows, key: (s) => s.session, sort: query.get("sort"), kind: "cards" }));
}

function sessions(store, query, keep) {
  const { data } = store.sources.sessions;
  return h("section", { "data-key": "sessions" },
    h("h3", null, "Sessions, worst first"),
    form(field("Show only", "text", query.get("text"), "words"), choice("State", "show", query.get("show"), MODE_CHOICES)),
    data ? keep("session table", [data, query.toString()], () => session_table(data, query)) : h("p", { class: "faint" }, "Asking…"));
}

const PROXIES = [
  { id: "name", title: "Proxy", cell: (p) => [name(p.name), small(p.version ?? UNKNOWN)] },
  { id: "heard", title: "Heard of", cell: (p) => (p.silent_s !== null && p.silent_s !== undefined ? h("b", { class: "bad" }, `silent for ${duration(p.silent_s)}`) : [h("span", null, "reports"), small("last ", time(p.last_seen, minute))]) },
  { id: "started", title: "Started", cell: (p) => time(p.started) },
  { id: "listeners", title: "Listeners", cell: (p) => [p.listeners ?? UNKNOWN].flat().join(" ") },
  { id: "dropped", title: "Events dropped", class: "number", cell: (p) => h("span", { class: p.events_dropped > 0 ? "bad" : null }, number(p.events_dropped)) },
  { id: "left", title: "Rows forgotten", class: "number", cell: (p) => h("span", { class: p.rows_left_out > 0 ? "bad" : null }, number(p.rows_left_out)) },
];

function proxies(overview) {
  const worst_first = [...overview.proxies].sort((a, b) => (b.silent_s ?? -1) - (a.silent_s ?? -1));
  const silent = worst_first.filter((p) => p.silent_s !== null && p.silent_s !== undefined).length;
  return h("section", { "data-key": "proxies" },
    h("h3", null, `Proxies: ${number(worst_first.length)}${silent > 0 ? `, ${number(silent)} silent` : ""}`),
    worst_first.length === 0 ? h("p", { class: "faint" }, "None is known.") : table({ label: "Proxies", columns: PROXIES, rows: worst_first, key: (p) => p.id, kind: "cards" }));
}

export default {
  id: "now",
  title: "Now",
  needs: ["sessions", "certificates"],
  render(store, query, keep) {
    const { overview } = store;
    const { now } = overview;
    if (!now) {
      return [tiles(store), h("p", { class: "faint", "data-key": "fleet" }, "A fleet's inventory knows no open sessions: each proxy's own dashboard does."), proxies(overview)];
    }
    return [
      tiles(store),
      h("div", { class: "panels", "data-key": "panels" }, sessions_by_mode(now), rates(now, store.history), login_times(now)),
      now.by_listener.length > 0 && h("section", { "data-key": "listeners" }, h("h3", null, "By listener"), table({ label: "By listener", columns: LISTENERS, rows: now.by_listener, key: (row) => row.listener, kind: "cards" })),
      sessions(store, query, keep),
      overview.proxies.length > 1 && proxies(overview),
    ];
  },
};
