// The open sessions, worst first: those in clear, those that do not verify, those of which it is not
// known, and the others.

import { h, name } from "./dom.js";
import { choice, field, form, matcher, page_of, pager, sorted, table } from "./table.js";
import { ago, bytes, number, small, sslmode, time, UNKNOWN, who } from "./words.js";

const mode_of = (s) =>
  s.ssl === false
    ? "plain"
    : s.verifies === "no"
      ? "tls_not_verifying"
      : s.verifies === "yes"
        ? "verifying"
        : "unknown";
const MODE_WORD = { plain: "in clear", tls_not_verifying: "not verifying", unknown: "unknown", verifying: "verifying" };
const RANK = { plain: 0, tls_not_verifying: 1, unknown: 2, verifying: 3 };
const MODE_CLASS = { plain: "bad", tls_not_verifying: "bad", unknown: "doubt", verifying: "good" };
const badness = (s) => RANK[mode_of(s)] * 2 + (s.weak ? 0 : 1);

const session_columns = (generated) => [
  {
    id: "client",
    title: "Client",
    class: "long",
    value: (s) => s.client_addr,
    cell: (s) => [
      s.client_addr ? name(s.client_port > 0 ? `${s.client_addr}:${s.client_port}` : s.client_addr) : "local",
      small(s.session),
    ],
  },
  {
    id: "user",
    title: "User@database",
    class: "who",
    value: (s) => `${s.usename}@${s.datname}`,
    cell: (s) => [who(s), s.application_name && small(name(s.application_name))],
  },
  {
    id: "state",
    title: "State",
    class: "word",
    value: badness,
    cell: (s) => [
      h("span", { class: MODE_CLASS[mode_of(s)] }, MODE_WORD[mode_of(s)]),
      s.weak && small(h("b", { class: "bad" }, "weak")),
      s.version && small(s.version),
    ],
  },
  { id: "sslmode", title: "sslmode", cell: (s) => sslmode(s.sslmode_min, s.sslmode_max) },
  { id: "listener", title: "Listener", value: (s) => s.listener, cell: (s) => name(s.listener) },
  {
    id: "server",
    title: "Server",
    class: "who",
    value: (s) => s.upstream_addr,
    cell: (s) => [
      name(s.upstream_addr ?? s.upstream ?? UNKNOWN),
      small(s.upstream_ssl === false ? h("b", { class: "bad" }, "in clear") : (s.upstream_version ?? UNKNOWN)),
    ],
  },
  {
    id: "since",
    title: "Since",
    value: (s) => s.backend_start,
    cell: (s) => [time(s.backend_start), small(ago(s.backend_start, generated))],
  },
  { id: "does", title: "Does", value: (s) => s.state, cell: (s) => s.state ?? UNKNOWN },
  {
    id: "bytes",
    title: "Bytes in, out",
    class: "number",
    value: (s) => (s.bytes_from_client ?? 0) + (s.bytes_from_server ?? 0),
    cell: (s) => [bytes(s.bytes_from_client), small(bytes(s.bytes_from_server))],
  },
];

const MODE_CHOICES = [["", "any"], ...Object.entries(MODE_WORD), ["weak", "weak"]];
const is_shown = (mode) => (s) => !mode || (mode === "weak" ? s.weak : mode_of(s) === mode);

function session_table(data, query) {
  const columns = session_columns(data.generated);
  const fits = matcher(query.get("text"));
  const text_of = (s) =>
    [
      s.session,
      s.client_addr,
      s.usename,
      s.datname,
      s.application_name,
      s.listener,
      s.upstream,
      s.upstream_addr,
      MODE_WORD[mode_of(s)],
      s.version,
    ]
      .join(" ")
      .toLowerCase();
  const matching = data.sessions.filter(is_shown(query.get("show"))).filter((s) => fits(text_of(s)));
  const rows = sorted(
    [...matching].sort((a, b) => badness(a) - badness(b)),
    columns,
    query.get("sort"),
  );
  const page = page_of(rows, query.get("page"));
  return h(
    "div",
    null,
    data.left_out > 0 &&
      h(
        "p",
        { class: "doubt" },
        h("b", null, `${number(data.total)} open, ${number(data.sessions.length)} listed`),
        ": weak ones first. Filter and order are of these alone; open_sessions on the console has all.",
      ),
    pager(page, matching.length, data.sessions.length, "sessions"),
    rows.length > 0 &&
      table({
        label: "Sessions, worst first",
        columns,
        rows: page.rows,
        key: (s) => s.session,
        sort: query.get("sort"),
        kind: "cards",
      }),
  );
}

/** The section with its filter. */
export function sessions(store, query, keep) {
  const { data } = store.sources.sessions;
  return h(
    "section",
    { "data-key": "sessions" },
    h("h3", null, "Sessions, worst first"),
    form(
      field("Show only", "text", query.get("text"), "words"),
      choice("State", "show", query.get("show"), MODE_CHOICES),
    ),
    data
      ? keep("session table", [data, query.toString()], () => session_table(data, query))
      : h("p", { class: "faint" }, "Asking…"),
  );
}
