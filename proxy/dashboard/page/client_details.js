// What is known of one client: what to do, what proves it, when it came and how.

import { h, name } from "./dom.js";
import { ago, number, plural, small, sslmode, time, UNKNOWN, who } from "./words.js";

const DAYS = 14;

/** What people said of it with `pgairlock client`. */
function decisions(c) {
  const { accepted } = c;
  return [
    c.note && h("p", null, "Note: ", name(c.note)),
    c.repaired_at && h("p", null, "Repaired ", time(c.repaired_at), ", so what was seen until then does not count."),
    c.changed_at && h("p", null, "Was changed: what was seen until ", time(c.changed_at), " does not count."),
    accepted &&
      h(
        "p",
        null,
        accepted.excused ? "Accepted" : "Was accepted",
        accepted.owner && [" by ", name(accepted.owner)],
        accepted.until
          ? [" until ", time(accepted.until), accepted.excused || accepted.worse.length > 0 ? "" : ", which is over"]
          : ", without an end",
        accepted.reason && [": ", name(accepted.reason)],
        accepted.worse.length > 0 && h("b", { class: "bad" }, ` – and is worse since: ${accepted.worse.join(", ")}`),
        ".",
      ),
  ].filter(Boolean);
}

function sessions(c) {
  if (c.source === "direct") return "not known: they do not come through pgairlock";
  if (c.sessions_open === null || c.sessions_open === undefined)
    return "not known: a fleet's inventory knows no open sessions";
  if (c.sessions_open === 0) return "none";
  const words = [c.client_addr, c.usename, c.datname].filter(Boolean).join(" ");
  return [number(c.sessions_open), " ", h("a", { href: `#now?${new URLSearchParams({ text: words })}` }, "show them")];
}

function facts(c, now) {
  const rows = [
    ["Open sessions", sessions(c)],
    ["Verifies", c.verifies],
    ["sslmode", sslmode(c.sslmode_min, c.sslmode_max)],
    ["TLS", c.version ?? "none"],
    c.direct?.cipher && ["Cipher", c.direct.cipher],
    c.direct?.client_dn && ["Its certificate", name(c.direct.client_dn)],
    c.direct && ["Servers", c.direct.servers.map((s, i) => [i > 0 && ", ", name(s)])],
    c.direct && [
      "Listed",
      `in ${plural(c.direct.looks, "look")}, ${plural(c.direct.sessions, "different session")}; shorter ones may be missing`,
    ],
    c.groups?.length > 0 && ["Key exchange", c.groups.join(", ")],
    ["Login by", c.auth_method ?? UNKNOWN],
    ["First seen", time(c.first_seen)],
    ["Last seen", [time(c.last_seen), small(ago(c.last_seen, now))]],
    ["Last failure", c.direct ? UNKNOWN : c.last_failure ? time(c.last_failure) : "none seen"],
    c.possible_failures > 0 && ["Perhaps its failures", `${number(c.possible_failures)}: its own or another client's`],
    ["Upstream", name(c.upstream)],
    ["Seen by", c.proxies?.length > 0 ? c.proxies.map((p, i) => [i > 0 && ", ", name(p)]) : UNKNOWN],
    c.client_process && ["Process", name(c.client_process)],
    c.client_uid !== null && c.client_uid !== undefined && ["uid", c.client_uid],
    c.names?.count > 1 && [
      "Names",
      [`${number(c.names.count)}, such as `, c.names.examples.map((n, i) => [i > 0 && ", ", name(n)])],
    ],
    c.error && ["Last error", name(c.error)],
  ].filter(Boolean);
  return h(
    "dl",
    null,
    rows.map(([title, content]) => [h("dt", null, title), h("dd", null, content)]),
  );
}

const row = (...cells) =>
  h(
    "tr",
    null,
    cells.map(([content, css]) => h("td", { class: css }, content)),
  );
const head = (...titles) =>
  h(
    "thead",
    null,
    h(
      "tr",
      null,
      titles.map((title) => h("th", { scope: "col" }, title)),
    ),
  );
const inner = (label, ...content) =>
  h(
    "div",
    { class: "scroll", role: "region", "aria-label": label, tabindex: "0" },
    h("table", { "aria-label": label }, content),
  );

function evidence(c) {
  const all = c.evidence_detail ?? [];
  if (all.length === 0) return h("p", { class: "faint" }, "None: nothing proves anything of this client yet.");
  return inner(
    "Evidence",
    head("Seen", "Times", "First", "Last", "Certificate", "Session"),
    h(
      "tbody",
      null,
      all.map((e) =>
        row(
          [[e.evidence, e.possible && small("possibly another client's")]],
          [number(e.count), "number"],
          [time(e.first_seen)],
          [time(e.last_seen)],
          [e.certificate ? name(e.certificate) : "none"],
          [e.session ?? UNKNOWN, "session"],
        ),
      ),
    ),
  );
}

function days(c) {
  const all = [...(c.days ?? [])].reverse();
  if (c.direct) return h("p", { class: "faint" }, "Not known: servers list sessions, and no days.");
  if (all.length === 0) return h("p", { class: "faint" }, "None.");
  return [
    inner(
      "Days",
      head("Day", "Connections by mode", "Failures"),
      h(
        "tbody",
        null,
        all
          .slice(0, DAYS)
          .map((d) =>
            row(
              [d.day, "session"],
              [
                Object.keys(d.modes).length === 0
                  ? "none"
                  : Object.entries(d.modes).map(([mode, count], i) => [
                      i > 0 && ", ",
                      h(
                        "span",
                        { class: mode === "plain" ? "bad" : null },
                        `${number(count)} ${mode === "plain" ? "in clear" : mode}`,
                      ),
                    ]),
              ],
              [number(d.failures), "number"],
            ),
          ),
      ),
    ),
    all.length > DAYS &&
      h("p", { class: "faint" }, `${plural(all.length - DAYS, "day")} before these are not shown here.`),
  ];
}

function probes(c) {
  const all = c.probes ?? [];
  if (all.length === 0) return null;
  return [
    h("h4", null, "Probes"),
    h(
      "ul",
      null,
      all.map((p) =>
        h(
          "li",
          null,
          `${p.kind}: shown to ${plural(p.shown, "connection")}, ${number(p.accepted)} accepted, `,
          `${number(p.refused)} lost by it`,
          p.last_shown && [", last ", time(p.last_shown)],
          p.shared && "; counted for its address, which other clients have too",
          ".",
        ),
      ),
    ),
  ];
}

/** What unfolds under a client's row. */
export function details(c, { generated }) {
  return h(
    "div",
    {
      class: "details",
      role: "group",
      "aria-label": `${c.usename ?? "(not known)"}@${c.datname ?? ""} from ${c.client_addr ?? "local"}`,
    },
    h(
      "div",
      { class: "todo" },
      h("h4", null, "What to do: ", h("b", null, c.action)),
      h("p", null, `${c.explain}.`),
      c.not_probed && c.action === "probe" && h("p", null, "Not probed: ", name(c.not_probed), "."),
      decisions(c),
    ),
    h(
      "div",
      { class: "halves" },
      h("div", null, h("h4", null, "Evidence"), evidence(c), probes(c), h("h4", null, "Days"), days(c)),
      h("div", null, h("h4", null, "What is known"), facts(c, generated)),
    ),
  );
}
