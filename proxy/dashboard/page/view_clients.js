// All clients that the inventory knows, as `pgairlock report` judges them, and what to do about each.

import { details } from "./client_details.js";
import { h, name } from "./dom.js";
import { choice, field, form, matcher, page_of, pager, sorted, table } from "./table.js";
import { ago, answer, number, plural, program, small, state_class, time, trend, who } from "./words.js";

const STATES = ["in clear", "falls back", "mixed", "not verifying", "unknown", "verifying"];

/** What can be asked for besides a state; each word is the report's. */
const KINDS = {
  weak: ["weak", (c) => c.weak],
  not_ready: ["not ready for the CA rotation", (c) => c.breaks_on_ca_rotation !== "no"],
  breaks_on_ca_rotation: ["break on the CA rotation", (c) => c.breaks_on_ca_rotation === "yes"],
  force_ssl: ["break on force_ssl, or it is not known", (c) => c.breaks_on_force_ssl !== "no"],
  failing: ["never succeeded, or no longer do", (c) => c.failing],
  worse: ["worse than the week before", (c) => c.trend === "worse"],
  accepted: ["accepted as they are", (c) => c.accepted?.excused],
};

const excused = (c) => Boolean(c.accepted?.excused);
const seen_by_several = (data) => data.proxies.length > 1;
const any_direct = (data) => data.clients.some((c) => c.source === "direct");
const several_upstreams = (data) => new Set(data.clients.map((c) => c.upstream)).size > 1;

const servers = (c) =>
  c.direct.servers.length === 1 ? c.direct.servers[0] : plural(c.direct.servers.length, "server");

function client_cell(c, open) {
  return [
    h(
      "button",
      {
        type: "button",
        class: "unfold",
        "data-do": "toggle",
        "data-value": c.key,
        "aria-expanded": open ? "true" : "false",
      },
      name(c.client_addr ?? "local"),
    ),
    c.client_process && small(name(program(c.client_process))),
    c.client_uid !== null && !c.client_process && small(`uid ${c.client_uid}`),
  ];
}

const state_cell = (c) => [
  // No green beside what is bad.
  h("span", { class: c.failing || c.breaks_on_ca_rotation === "yes" ? null : state_class(c.state) }, c.state),
  c.weak && small(h("b", { class: "bad" }, "weak")),
  c.failing && small(h("b", { class: "bad" }, "fails")),
  excused(c) && small(`accepted${c.accepted.owner ? " by " : ""}`, c.accepted.owner && name(c.accepted.owner)),
];

const action_order = (data) =>
  new Map(
    data.clients
      .map((c) => c.action)
      .filter((a, i, all) => all.indexOf(a) === i)
      .map((a, i) => [a, i]),
  );

function columns_of(data, open) {
  const order = action_order(data);
  return [
    {
      id: "client",
      title: "Client",
      class: "who",
      value: (c) => c.client_addr ?? "local",
      cell: (c) => client_cell(c, open.has(c.key)),
    },
    {
      id: "user",
      title: "User@database",
      class: "user",
      value: (c) => (c.usename === null ? null : `${c.usename}@${c.datname}`),
      cell: (c) => [who(c), c.application_name && small(name(c.application_name))],
    },
    several_upstreams(data) && {
      id: "upstream",
      title: "Upstream",
      value: (c) => c.upstream,
      cell: (c) => name(c.upstream),
    },
    seen_by_several(data) && {
      id: "proxy",
      title: "Proxy",
      value: (c) => c.proxy,
      cell: (c) => c.proxy && name(c.proxy),
    },
    any_direct(data) && {
      id: "source",
      title: "Source",
      class: "word",
      value: (c) => c.source,
      cell: (c) => [
        h("span", { class: c.source === "direct" ? "doubt" : null }, c.source),
        c.direct?.servers.length > 0 && small("at ", name(servers(c))),
      ],
    },
    { id: "state", title: "State", class: "word", value: (c) => STATES.indexOf(c.state), cell: state_cell },
    {
      id: "trend",
      title: "Trend",
      class: "word",
      value: (c) => ["worse", "new", "same", "better"].indexOf(c.trend),
      cell: (c) => trend(c.trend),
    },
    {
      id: "force_ssl",
      title: "Breaks on force_ssl",
      value: (c) => ["yes", "unknown", "no"].indexOf(c.breaks_on_force_ssl),
      cell: (c) => answer(c.breaks_on_force_ssl, "yes", "no"),
    },
    {
      id: "rotation",
      title: "Breaks on CA rotation",
      value: (c) => ["yes", "unknown", "no"].indexOf(c.breaks_on_ca_rotation),
      cell: (c) => answer(c.breaks_on_ca_rotation, "yes", "no"),
    },
    {
      id: "action",
      title: "Action",
      class: "action",
      value: (c) => order.get(c.action),
      cell: (c) => [
        c.action,
        c.also && small("and ", c.also),
        c.action === "probe" && c.not_probed && small("not probed: ", c.not_probed),
        c.failure && small("failed last: ", name(c.failure.error ?? c.failure.what)),
      ],
    },
    {
      id: "connections",
      title: "Connections",
      class: "number",
      value: (c) => c.connections,
      cell: (c) => [
        number(c.connections),
        c.plain > 0 && small(h("span", { class: "bad" }, `${number(c.plain)} in clear`)),
      ],
    },
    { id: "failures", title: "Failures", class: "number", value: (c) => c.failures, cell: (c) => number(c.failures) },
    {
      id: "open",
      title: "Open now",
      class: "number",
      value: (c) => c.sessions_open,
      cell: (c) => number(c.sessions_open),
    },
    {
      id: "seen",
      title: "Last seen",
      value: (c) => c.last_seen,
      cell: (c) => [time(c.last_seen), small(ago(c.last_seen, data.generated))],
    },
  ].filter(Boolean);
}

const texts = new WeakMap();

/** Everything of a client that somebody may look for. */
function text_of(c) {
  if (!texts.has(c)) {
    texts.set(
      c,
      [
        c.client_addr ?? "local",
        c.client_process,
        `${c.usename}@${c.datname}`,
        c.application_name,
        c.upstream,
        c.proxy,
        c.state,
        c.action,
        c.also,
        c.source,
        ...(c.direct?.servers ?? []),
        c.note,
        c.accepted?.owner,
        ...(c.names?.examples ?? []),
      ]
        .join(" ")
        .toLowerCase(),
    );
  }
  return texts.get(c);
}

function matches(query) {
  const [kind, action, fits] = [query.get("show"), query.get("action"), matcher(query.get("text"))];
  const source = query.get("source");
  const kind_fits = !kind ? () => true : KINDS[kind] ? KINDS[kind][1] : (c) => c.state === kind;
  return (c) => kind_fits(c) && (!source || c.source === source) && (!action || c.action === action) && fits(text_of(c));
}

function counted(clients, test) {
  return clients.reduce((count, c) => count + (test(c) ? 1 : 0), 0);
}

function filters(data, query) {
  const kinds = Object.entries(KINDS).map(([id, [title, test]]) => [
    id,
    `${title} (${number(counted(data.clients, test))})`,
  ]);
  const states = STATES.map((state) => [
    state,
    `${state} (${number(counted(data.clients, (c) => c.state === state))})`,
  ]);
  const actions = [...action_order(data).keys()].map((action) => [
    action,
    `${action} (${number(counted(data.clients, (c) => c.action === action))})`,
  ]);
  const sources = [
    ["seen", "came to a proxy"],
    ["direct", "go around pgairlock"],
  ].map(([source, words]) => [source, `${words} (${number(counted(data.clients, (c) => c.source === source))})`]);
  return form(
    field("Show only", "text", query.get("text"), "words"),
    choice("Which", "show", query.get("show"), [["", "all"], ...kinds, ...states]),
    (any_direct(data) || query.get("source")) &&
      choice("Source", "source", query.get("source"), [["", "all"], ...sources]),
    choice("Action", "action", query.get("action"), [["", "any"], ...actions]),
  );
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** How many go around every proxy, in the report's sentences. */
function around({ summary: s }) {
  const css = s.direct === null || s.direct > 0 ? "doubt" : "faint";
  return (s.around ?? []).map((text, i) => h("p", null, h("span", { class: i === 0 ? css : "faint" }, sentence(text))));
}

/** Of all that the inventory knows, while the figures of "now" are of the last 7 days. */
function summary({ summary: s, generated }) {
  if (s.clients === 0) return h("p", { class: "faint" }, "No client was seen yet.");
  const parts = [
    `${plural(s.clients, "client")} since `,
    time(s.first_seen),
    ": ",
    h("b", { class: s.plain > 0 ? "bad" : "faint" }, number(s.plain)),
    " in clear text, ",
    h("b", { class: s.tls_not_verifying > 0 ? "bad" : "faint" }, number(s.tls_not_verifying)),
    " use TLS and do not verify (proven), ",
    h("b", { class: s.unknown > 0 ? "doubt" : "faint" }, number(s.unknown)),
    " not known, ",
    h("b", null, number(s.verifying)),
    " verify. On the CA rotation ",
    h("b", { class: s.breaks_on_ca_rotation > 0 ? "bad" : "faint" }, number(s.breaks_on_ca_rotation)),
    " break; of ",
    h("b", { class: s.breaks_on_ca_rotation_unknown > 0 ? "doubt" : "faint" }, number(s.breaks_on_ca_rotation_unknown)),
    " it is not known.",
    s.unattributed_failures > 0 && [
      " ",
      h("b", { class: "bad" }, plural(s.unattributed_failures, "handshake")),
      " failed that no row explains: see the end.",
    ],
  ];
  return h("p", null, parts, h("span", { class: "faint" }, " As of ", time(generated), "."));
}

const application_of = (c) => c.application_name && [" ", name(c.application_name)];

/** Each once, also where programs or users of the operating system differ. */
const distinct = (candidates) => [
  ...new Map(candidates.map((c) => [JSON.stringify([c.usename, c.datname, c.application_name]), c])).values(),
];

function candidates(one) {
  const all = distinct(one.candidates);
  return [
    all.length > 0 && [
      "may be those of ",
      all.slice(0, 5).map((c, i) => [i > 0 && ", ", who(c), application_of(c)]),
      all.length > 5 && ` and ${plural(all.length - 5, "other")}`,
      ", or of a client that never logged in",
    ],
    all.length === 0 && "name nobody",
  ];
}

function unattributed(data) {
  const all = data.unattributed_failures ?? data.unattributed ?? [];
  return all.map((one) =>
    h(
      "p",
      { class: "doubt" },
      `${plural(one.failures, "failed handshake")} of `,
      name(one.client_addr ?? "local"),
      one.client_process && [" ", name(program(one.client_process))],
      several_upstreams(data) && [" to ", name(one.upstream)],
      " ",
      candidates(one),
      one.refused > 0 &&
        `; ${number(one.refused)} refused our certificate or left at it: its CA (ca.crt, or that of cert_file) belongs in the trust store of that client`,
      one.last_failure && ["; last ", time(one.last_failure)],
      one.error && [": ", name(one.error)],
      ".",
    ),
  );
}

function list(store, data, query) {
  const open = new Set(query.getAll("open"));
  const columns = columns_of(data, open);
  const matching = data.clients.filter(matches(query));
  const worst_first = [...matching.filter((c) => !excused(c)), ...matching.filter(excused)];
  const page = page_of(sorted(worst_first, columns, query.get("sort")), query.get("page"));
  return h(
    "div",
    null,
    pager(page, matching.length, data.clients.length, "clients"),
    h(
      "p",
      { class: "faint" },
      query.get("sort")
        ? "Sorted by a heading; a click on it turns it round, and one more brings back the report's order."
        : "In the report's order: worst first, those accepted as they are last. A row unfolds.",
    ),
    matching.length > 0 &&
      table({
        label: "Clients",
        columns,
        rows: page.rows,
        key: (c) => c.key,
        sort: query.get("sort"),
        kind: "cards clients",
        attributes: (c) => ({ "data-do": "toggle", "data-value": c.key, class: open.has(c.key) ? "open" : null }),
        below: (c) => (open.has(c.key) ? details(c, data) : null),
      }),
  );
}

export default {
  id: "clients",
  title: "Clients",
  needs: ["clients"],
  render(store, query, keep) {
    const { data } = store.sources.clients;
    if (!data) return [h("p", { class: "faint" }, "Asking…")];
    return [
      keep("summary", [data], () => h("div", null, summary(data), around(data))),
      data.clients.length > 0 && keep("filters", [data], () => filters(data, query)),
      keep("list", [data, query.toString()], () => list(store, data, query)),
      keep("unattributed", [data], () => h("div", null, unattributed(data))),
    ];
  },
};
