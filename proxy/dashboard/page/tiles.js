// The few figures that a rotation is run by: who is weak, who is not ready, when a server's
// certificate last moved to another CA and which is the next to end.

import { h, name } from "./dom.js";
import { ago, days_left, number, plural, short_names, time, UNKNOWN } from "./words.js";

function tile({ id, figure, css, text, more, to }) {
  const content = [h("b", { class: css }, figure), h("span", null, text), more && h("small", null, more)];
  return to
    ? h("a", { class: "tile", href: to, "data-key": id }, content)
    : h("div", { class: "tile", "data-key": id }, content);
}

/** Zero is no praise: it is faint, and of what is known. `besides`: what it does not count. */
function count(id, counts, what, css, text, to, besides) {
  const value = counts?.[what];
  if (value === null || value === undefined) return tile({ id, figure: UNKNOWN, css: "doubt word", text, to });
  return tile({
    id,
    figure: number(value),
    css: value > 0 ? css : besides ? "doubt" : "faint",
    text,
    more: [counts.total > 0 ? `of ${plural(counts.total, "client")} known` : "no client was seen", besides],
    to,
  });
}

/** Of each server address: its certificate of now, and the one of another CA that was before it. */
export function moves_of(certificates) {
  const addresses = new Map();
  for (const c of certificates) {
    const key = `${c.upstream} ${c.upstream_addr}`;
    addresses.set(key, [...(addresses.get(key) ?? []), c]);
  }
  return [...addresses.values()]
    .map((all) => {
      const current = all.find((c) => c.current);
      const before = all
        .filter((c) => current && c !== current && c.issuer !== current.issuer && c.first_seen < current.first_seen)
        .sort((a, b) => (a.last_seen < b.last_seen ? 1 : -1))[0];
      return { current, before, at: before ? current.first_seen : null };
    })
    .filter((address) => address.current);
}

function last_move({ data }) {
  if (!data?.upstream)
    return tile({ id: "moved", figure: UNKNOWN, css: "doubt word", text: "when a server's certificate last moved" });
  const addresses = moves_of(data.upstream);
  const moved = addresses.filter((a) => a.at).sort((a, b) => (a.at < b.at ? 1 : -1));
  const text = "server certificate last moved to another CA";
  if (addresses.length === 0)
    return tile({
      id: "moved",
      figure: UNKNOWN,
      css: "doubt word",
      text: "no server's certificate was seen",
      to: "#servers",
    });
  const how_many = `${number(moved.length)} of ${number(addresses.length)} server addresses`;
  if (moved.length === 0)
    return tile({
      id: "moved",
      figure: "none",
      css: "faint word",
      text: "moved to another CA since they were first seen",
      more: how_many,
      to: "#rotation",
    });
  return tile({
    id: "moved",
    figure: ago(moved[0].at, data.generated),
    css: "word",
    text,
    more: [time(moved[0].at), `; ${how_many} moved`],
    to: "#rotation",
  });
}

function next_end({ data }) {
  if (!data) return tile({ id: "ends", figure: UNKNOWN, css: "doubt word", text: "which certificate ends next" });
  const all = [
    ...(data.upstream ?? []).filter((c) => c.current).map((c) => ({ ...c, of: ["server ", name(c.upstream_addr)] })),
    ...(data.server ?? []).map((c) => ({ ...c, of: ["listener ", name(c.listener)] })),
    ...(data.anchors ?? []).map((c) => ({
      ...c,
      of: [c.candidate ? "candidate " : "anchor ", short_names([c.subject])(c.subject)],
    })),
  ]
    .filter((c) => c.days_left !== null && c.days_left !== undefined)
    .sort((a, b) => a.days_left - b.days_left || (a.not_after < b.not_after ? -1 : 1));
  if (all.length === 0)
    return tile({
      id: "ends",
      figure: UNKNOWN,
      css: "doubt word",
      text: "which certificate ends next",
      to: "#servers",
    });
  return tile({
    id: "ends",
    figure: days_left(all[0].days_left),
    css: "word",
    text: ["of the next certificate to end: ", all[0].of],
    more: time(all[0].not_after),
    to: "#servers",
  });
}

/** Not among those that are known to a proxy; where nobody looked at the servers it is not known. */
function around(clients) {
  const text = "go around pgairlock (direct)";
  const { direct, direct_plain: plain, coverage } = clients ?? {};
  if (direct === null || direct === undefined)
    return tile({ id: "direct", figure: UNKNOWN, css: "doubt word", text, more: "no server was looked at" });
  const seen =
    coverage === null || coverage === undefined
      ? "how much of the traffic is seen is not known"
      : `${number(coverage)} % of the servers' sessions are seen`;
  return tile({
    id: "direct",
    figure: number(direct),
    css: direct === 0 ? "faint" : plain > 0 ? "bad" : "doubt",
    text,
    more: [direct > 0 && `${number(plain)} in clear text; `, seen],
    to: "#clients?source=direct",
  });
}

/** Whoever shares address and program with others and never logs in is no client that is known. */
const nameless = (count) => count > 0 && `, and ${plural(count, "failed handshake")} of nobody who is known`;

export function tiles({ overview, sources }) {
  const { clients } = overview;
  const certificates = sources.certificates;
  return h(
    "section",
    { "data-key": "tiles", "aria-labelledby": "tiles-title" },
    h("h3", { id: "tiles-title" }, "Clients of the last 7 days, and certificates"),
    h(
      "div",
      { class: "tiles" },
      count("weak", clients, "weak", "bad", "weak: clear text, no verification, old TLS", "#clients?show=weak"),
      count(
        "ready",
        clients,
        "not_ready",
        "bad",
        "not ready for the CA rotation: break, or it is not known",
        "#clients?show=not_ready",
      ),
      count(
        "failing",
        clients,
        "failing",
        "bad",
        "never succeeded, or no longer do",
        "#clients?show=failing",
        nameless(clients?.unattributed_failures),
      ),
      last_move(certificates),
      next_end(certificates),
      around(clients),
    ),
  );
}
