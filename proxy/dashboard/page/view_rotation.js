// The rotation: how many clients are not ready, day by day; which those are; who moved when.

import { day_bars, swatch } from "./chart.js";
import { h, name } from "./dom.js";
import { table } from "./table.js";
import { answer, number, plural, short_names, small, state_class, time, who } from "./words.js";

const BANDS = [
  { css: "m-plain", of: (d) => d.breaks, title: "break: verify, and refused the candidate" },
  { css: "m-old", of: (d) => d.unknown, title: "not known whether they break" },
  { css: "m-t13", of: (d) => d.ready, title: "ready" },
];

const DAYS = [
  { id: "day", title: "Day", cell: (d) => d.day },
  { id: "clients", title: "Clients", class: "number", cell: (d) => number(d.clients) },
  {
    id: "not_ready",
    title: "Not ready",
    class: "number",
    cell: (d) => h("b", { class: d.not_ready > 0 ? "bad" : null }, number(d.not_ready)),
  },
  { id: "breaks", title: "Break", class: "number", cell: (d) => number(d.breaks) },
  { id: "unknown", title: "Not known", class: "number", cell: (d) => number(d.unknown) },
  { id: "ready", title: "Ready", class: "number", cell: (d) => number(d.ready) },
  { id: "in_clear", title: "In clear", class: "number", cell: (d) => number(d.in_clear) },
];

function burn_down({ days }) {
  if (days.length === 0) return h("p", { class: "faint" }, "No day is known yet.");
  const [first, last] = [days[0], days.at(-1)];
  const is_now = (d) => `${number(d.not_ready)} of ${plural(d.clients, "client")}`;
  return h(
    "section",
    { class: "panel wide", "data-key": "burn" },
    h("h3", null, "Clients that are not ready for the CA rotation"),
    h(
      "p",
      { class: "figures" },
      h(
        "span",
        null,
        h("b", { class: last.not_ready > 0 ? "bad" : null }, number(last.not_ready)),
        ` not ready now, of ${plural(last.clients, "client")}: ${number(last.breaks)} break, `,
        `of ${number(last.unknown)} it is not known`,
      ),
      days.length > 1 && h("span", { class: "faint" }, `${first.day}: ${is_now(first)}`),
    ),
    day_bars(
      days,
      BANDS,
      (d) => number(d.not_ready),
      "Clients by day: how many break, are not known, are ready. The table below has the numbers",
    ),
    h(
      "ul",
      { class: "keys" },
      BANDS.map((band) => h("li", null, swatch(band.css), ` ${band.title}`)),
    ),
    h(
      "details",
      null,
      h("summary", null, "The same as a table"),
      table({ label: "Clients by day", columns: DAYS, rows: [...days].reverse(), key: (d) => d.day }),
    ),
  );
}

const words_of = (c) => [c.client_addr, c.usename, c.datname].filter(Boolean).join(" ");

const LAST = [
  {
    id: "client",
    title: "Client",
    cell: (c) =>
      h(
        "a",
        {
          href: `#clients?${new URLSearchParams({ open: c.key, text: words_of(c) })}`,
        },
        name(c.client_addr ?? "local"),
      ),
  },
  { id: "user", title: "User@database", cell: (c) => [who(c), c.application_name && small(name(c.application_name))] },
  {
    id: "state",
    title: "State",
    cell: (c) => h("span", { class: c.state === "verifying" ? null : state_class(c.state) }, c.state),
  },
  { id: "breaks", title: "Breaks on CA rotation", cell: (c) => answer(c.breaks_on_ca_rotation, "yes", "no") },
  { id: "action", title: "Action", cell: (c) => [h("b", null, c.action), small(c.explain)] },
  { id: "seen", title: "Last seen", cell: (c) => time(c.last_seen) },
];

function last_not_ready({ last_not_ready: keys, days }, clients) {
  if (keys.length === 0)
    return h(
      "p",
      null,
      days.length > 0 && days.at(-1).not_ready === 0 && days.at(-1).clients > 0
        ? "Every client that is known is ready."
        : "None is known.",
    );
  const by_key = new Map(clients.map((c) => [c.key, c]));
  const rows = keys.map((key) => by_key.get(key)).filter(Boolean);
  const total = days.at(-1)?.not_ready ?? keys.length;
  return [
    rows.length < total &&
      h(
        "p",
        { class: "faint" },
        `${number(rows.length)} of ${number(total)} are here; `,
        h("a", { href: "#clients?show=not_ready" }, "all of them"),
        ".",
      ),
    table({ label: "Clients that are not ready", columns: LAST, rows, key: (c) => c.key, kind: "cards" }),
  ];
}

const READINESS = { ready: "good", unknown: "doubt", breaks: "bad" };

/** The state, whether it is ready, or both. */
function changed(m) {
  const from_to = (what, from, to, css) => [
    what,
    from ? [h("span", { class: css(from) }, from), " → "] : "new: ",
    h("b", { class: css(to) }, to),
  ];
  const parts = [];
  if (m.from !== m.to) parts.push(from_to("", m.from, m.to, state_class));
  if (m.rotation_to && m.rotation_from !== m.rotation_to)
    parts.push(from_to("CA rotation ", m.rotation_from, m.rotation_to, (word) => READINESS[word]));
  return parts.map((part, i) => [i > 0 && ", ", part]);
}

// Two of one name are told apart by what vouches for them, and by its key.
function authority(m, side, called) {
  if (m.from !== m.to) return called(m[side]);
  const [anchor, key] = [m[`${side}_anchor`], m[`${side}_key`]];
  return [called(m[side]), anchor && [" under ", called(anchor)], key && ` (key ${key.slice(0, 8)})`];
}

function move(m, called) {
  const what =
    m.what === "server"
      ? [
          "server ",
          name(m.upstream_addr),
          " of ",
          name(m.upstream),
          " showed a certificate of ",
          h("b", null, authority(m, "to", called)),
          m.from ? [" instead of ", authority(m, "from", called)] : " for the first time",
          m.back && ", as before: it went back after this time",
        ]
      : ["client ", name(m.client), ": ", changed(m)];
  return h("li", { "data-key": `${m.t} ${m.key ?? m.upstream_addr} ${m.to} ${m.rotation_to}` }, time(m.t), " ", what);
}

function moves({ moves: all, left_out }) {
  if (all.length === 0) return h("p", { class: "faint" }, "Nobody has moved since the inventory began.");
  const called = short_names(
    all.filter((m) => m.what === "server").flatMap((m) => [m.from, m.to, m.from_anchor, m.to_anchor]),
  );
  const newest_first = [...all].sort((a, b) => (a.t < b.t ? 1 : -1));
  return [
    h(
      "ol",
      { class: "moves", "data-key": "moves" },
      newest_first.slice(0, 200).map((m) => move(m, called)),
    ),
    newest_first.length > 200 &&
      h("p", { class: "faint" }, `${number(newest_first.length - 200)} older ones are not shown.`),
    left_out > 0 && h("p", { class: "doubt" }, `${number(left_out)} older ones were left out.`),
  ];
}

export default {
  id: "rotation",
  title: "Rotation",
  needs: ["rotation", "clients"],
  render({ sources }, query, keep) {
    const { data } = sources.rotation;
    const clients = sources.clients.data;
    if (!data) return [h("p", { class: "faint" }, "Asking…")];
    return [
      keep("rotation", [data, clients], () =>
        h(
          "div",
          null,
          burn_down(data),
          h("h3", null, "Not ready, and what to do"),
          clients ? last_not_ready(data, clients.clients) : h("p", { class: "faint" }, "Asking…"),
          h("h3", null, "Who moved when"),
          moves(data),
        ),
      ),
    ];
  },
};
