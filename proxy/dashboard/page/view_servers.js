// The servers and every certificate that matters: theirs, ours, and the anchors that ours verify by.

import { h, name } from "./dom.js";
import { table } from "./table.js";
import { ago, days_left, number, short_names, small, time, UNKNOWN } from "./words.js";

const yes_no = (value, yes, no) =>
  value === null || value === undefined ? h("span", { class: "doubt" }, UNKNOWN) : value ? yes : no;
const soonest = (rows) => [...rows].sort((a, b) => (a.days_left ?? Infinity) - (b.days_left ?? Infinity));

/** Down, then not verified, then what ends first. */
const trouble = (host) => (host.up === false ? 0 : host.verified === false ? 1 : host.up === null ? 2 : 3);
const worst_first = (hosts) => soonest(hosts).sort((a, b) => trouble(a) - trouble(b));

function up(host, generated) {
  const word = yes_no(host.up, h("span", { class: "good" }, "up"), h("b", { class: "bad" }, "down"));
  return [
    word,
    host.since && small("since ", time(host.since)),
    host.last_served && small(`served ${ago(host.last_served, generated)}`),
    host.error && small(h("span", { class: "bad" }, host.error)),
  ];
}

const verified = (host) => [
  yes_no(host.verified, h("span", { class: "good" }, "verified"), h("b", { class: "bad" }, "not verified")),
  small(host.sslmode ?? UNKNOWN),
  small(host.version ?? UNKNOWN),
];

const candidate = (ok) =>
  ok === null || ok === undefined
    ? h("span", { class: "doubt" }, "not rehearsed")
    : ok
      ? h("span", { class: "good" }, "suffices")
      : h("b", { class: "bad" }, "does not suffice");

const prewarm = (host) =>
  host.prewarm_wanted > 0
    ? `${number(host.prewarm_ready)} of ${number(host.prewarm_wanted)}`
    : host.prewarm_wanted === 0
      ? "off"
      : UNKNOWN;

const host_columns = (generated, called) => [
  {
    id: "host",
    title: "Host",
    class: "long",
    cell: (x) => [
      x.host ? name(x.host) : h("span", { class: "faint" }, "one of several names"),
      small(x.address ? name(x.address) : "address not known"),
      small(name(x.upstream)),
    ],
  },
  { id: "up", title: "Up", class: "long", cell: (x) => up(x, generated) },
  {
    id: "role",
    title: "Role",
    cell: (x) =>
      x.role
        ? [
            x.role,
            x.role_doubtful && h("span", { class: "doubt" }, ", in doubt"),
            small(`seen ${ago(x.role_seen, generated)}`),
          ]
        : h("span", { class: "doubt" }, UNKNOWN),
  },
  { id: "verified", title: "TLS", cell: verified },
  {
    id: "certificate",
    title: "Certificate",
    cell: (x) => [
      x.subject ? called(x.subject) : UNKNOWN,
      small(days_left(x.days_left)),
      x.not_after && small("ends ", time(x.not_after)),
    ],
  },
  { id: "anchor", title: "Anchor", cell: (x) => called(x.anchor) },
  { id: "candidate", title: "Candidate CA alone", cell: (x) => candidate(x.candidate_ok) },
  { id: "prewarm", title: "Prewarm", class: "number", cell: prewarm },
  { id: "sessions", title: "Sessions", class: "number", cell: (x) => number(x.sessions) },
];

function hosts({ data }) {
  if (!data) return h("p", { class: "faint" }, "Asking…");
  const called = short_names(data.hosts.flatMap((x) => [x.subject, x.anchor]));
  const rows = worst_first(data.hosts);
  return rows.length === 0
    ? h("p", { class: "faint" }, "None is known.")
    : table({
        label: "Servers",
        columns: host_columns(data.generated, called),
        rows,
        key: (x) => `${x.upstream} ${x.host} ${x.address}`,
        kind: "cards",
      });
}

function chain(certificate, called) {
  if (!certificate.chain) return null;
  const steps = certificate.chain.map((c) =>
    h(
      "li",
      null,
      h("b", null, called(c.subject)),
      small("issued by ", called(c.issuer)),
      small("ends ", time(c.not_after)),
      small(h("code", null, c.sha256)),
    ),
  );
  return h("details", null, h("summary", null, `chain of ${number(certificate.chain.length)}`), h("ol", null, steps));
}

/** By anchor: what its name does not tell, where several have it. */
function keys_of(rows) {
  const by_name = new Map();
  for (const c of rows) {
    if (c.anchor_key_sha256) by_name.set(c.anchor, (by_name.get(c.anchor) ?? new Set()).add(c.anchor_key_sha256));
  }
  return (c) =>
    c.anchor_key_sha256 && by_name.get(c.anchor).size > 1 && small(`key ${c.anchor_key_sha256.slice(0, 8)}`);
}

const shown_columns = (called, key) => [
  { id: "address", title: "Address", class: "who", cell: (c) => [name(c.upstream_addr), small(name(c.upstream))] },
  {
    id: "subject",
    title: "Subject",
    cell: (c) => [
      c.subject ? called(c.subject) : UNKNOWN,
      c.sans?.length > 0 && small(name(c.sans.join(", "))),
      chain(c, called),
    ],
  },
  { id: "issuer", title: "Issuer", cell: (c) => called(c.issuer) },
  { id: "anchor", title: "Anchor", cell: (c) => [called(c.anchor), key(c)] },
  { id: "ends", title: "Ends", cell: (c) => [days_left(c.days_left), small(time(c.not_after))] },
  {
    id: "first",
    title: "Shown",
    class: "long",
    cell: (c) => [
      c.current ? h("b", null, "now") : h("span", { class: "faint" }, "replaced"),
      small("first ", time(c.first_seen)),
      small("last ", time(c.last_seen)),
    ],
  },
  {
    id: "candidate",
    title: "Candidate CA alone",
    class: "long",
    cell: (c) => [
      c.current ? candidate(c.candidate_ok) : candidate(c.candidate_ok).textContent,
      c.candidate_since && small("since ", time(c.candidate_since)),
      c.candidate_refused_by?.length > 0 && small("refused at ", name(c.candidate_refused_by.join(", "))),
      c.candidate_not_judged_by?.length > 0 && small("no candidate at ", name(c.candidate_not_judged_by.join(", "))),
    ],
  },
];

function shown(upstream, called) {
  const rows = [...upstream].sort(
    (a, b) => Number(b.current) - Number(a.current) || (a.days_left ?? 0) - (b.days_left ?? 0),
  );
  return rows.length === 0
    ? h("p", { class: "faint" }, "None was seen.")
    : table({
        label: "Certificates that servers showed",
        columns: shown_columns(called, keys_of(rows)),
        rows,
        key: (c) => `${c.upstream} ${c.upstream_addr} ${c.sha256}`,
        kind: "cards",
        attributes: (c) => ({ class: c.current ? null : "faint" }),
      });
}

const own_columns = (called) => [
  { id: "listener", title: "Listener", cell: (c) => [name(c.listener), small(c.key_type ?? "")] },
  {
    id: "subject",
    title: "Subject",
    cell: (c) => [called(c.subject), c.sans?.length > 0 && small(name(c.sans.join(", ")))],
  },
  {
    id: "issuer",
    title: "Issuer",
    cell: (c) => [called(c.issuer), small(c.generated ? "made by pgairlock" : "from cert_file")],
  },
  { id: "ends", title: "Ends", cell: (c) => [days_left(c.days_left), small(time(c.not_after))] },
  { id: "trust", title: "Its CA, to clients", cell: (c) => name(c.trust ?? UNKNOWN) },
];

const anchor_columns = (called) => [
  { id: "upstream", title: "Upstream", cell: (a) => name(a.upstream) },
  { id: "subject", title: "Anchor", cell: (a) => [called(a.subject), a.candidate && small(h("b", null, "candidate"))] },
  { id: "file", title: "File", cell: (a) => name(a.file) },
  { id: "ends", title: "Ends", cell: (a) => [days_left(a.days_left), small(time(a.not_after))] },
];

function certificates({ data }, keep) {
  if (!data) return [h("p", { class: "faint" }, "Asking…")];
  return [
    keep("certificates", [data], () => {
      // Null: not known.
      const [upstream, server, anchors] = [data.upstream ?? [], data.server ?? [], data.anchors ?? []];
      const called = short_names([
        ...upstream.flatMap((c) => [
          c.subject,
          c.issuer,
          c.anchor,
          ...(c.chain ?? []).flatMap((x) => [x.subject, x.issuer]),
        ]),
        ...server.flatMap((c) => [c.subject, c.issuer]),
        ...anchors.map((a) => a.subject),
      ]);
      return h(
        "div",
        null,
        h("h3", null, "Certificates that servers showed"),
        data.upstream ? shown(upstream, called) : h("p", { class: "doubt" }, "Not known: there is no inventory."),
        server.length > 0 && [
          h("h3", null, "Certificates that pgairlock shows to clients"),
          table({
            label: "Certificates that pgairlock shows",
            columns: own_columns(called),
            rows: soonest(server),
            key: (c) => `${c.listener} ${c.key_type}`,
            kind: "cards",
          }),
        ],
        anchors.length > 0 && [
          h("h3", null, "Anchors: what the servers are verified by"),
          table({
            label: "Anchors",
            columns: anchor_columns(called),
            rows: soonest(anchors),
            key: (a) => `${a.upstream} ${a.file} ${a.subject} ${a.key_sha256} ${a.candidate}`,
            kind: "cards",
          }),
        ],
      );
    }),
  ];
}

export default {
  id: "servers",
  title: "Servers",
  needs: ["hosts", "certificates"],
  render(store, query, keep) {
    const fleet = store.overview.kind === "fleet";
    return [
      h("h3", null, "Hosts, worst first"),
      fleet
        ? h(
            "p",
            { class: "faint" },
            "A fleet's inventory does not know which hosts are up: each proxy's own dashboard does.",
          )
        : hosts(store.sources.hosts),
      certificates(store.sources.certificates, keep),
    ];
  },
};
