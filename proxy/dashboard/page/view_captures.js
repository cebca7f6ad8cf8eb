// Captures of traffic that run, are planned, or ended last: what they take, where, for how long, and what they lost.

import { h, name } from "./dom.js";
import { table } from "./table.js";
import { bytes, number, small, time, UNKNOWN } from "./words.js";

const loss = (count) => h("span", { class: count > 0 ? "bad" : null }, number(count));

const COLUMNS = [
  {
    id: "id",
    title: "Capture",
    cell: (c) => [
      c.id === null ? "not yet" : `${c.id}`,
      small(c.state ?? UNKNOWN),
      c.reason && small(name(c.reason)),
      c.warning && small(h("b", { class: "doubt" }, c.warning)),
    ],
  },
  { id: "by", title: "By", cell: (c) => name(c.by ?? UNKNOWN) },
  {
    id: "filter",
    title: "Takes",
    cell: (c) => [c.filter ? name(c.filter) : "everything", small(`trigger ${c.trigger ?? UNKNOWN}`)],
  },
  {
    id: "payload",
    title: "Payload",
    cell: (c) => [
      c.payload ?? UNKNOWN,
      c.keylog && small(h("b", { class: "bad" }, "with TLS keys")),
      c.allow_secrets && small(h("b", { class: "bad" }, "secrets allowed")),
    ],
  },
  { id: "where", title: "Where", class: "long", cell: (c) => name(c.where ?? UNKNOWN) },
  {
    id: "until",
    title: "Until",
    cell: (c) => [c.until ? time(c.until) : "it is stopped", c.started && small("since ", time(c.started))],
  },
  { id: "sessions", title: "Sessions", class: "number", cell: (c) => number(c.sessions) },
  { id: "packets", title: "Packets", class: "number", cell: (c) => [number(c.packets), small(bytes(c.bytes))] },
  { id: "dropped", title: "Packets dropped", class: "number", cell: (c) => loss(c.dropped) },
  { id: "left_out", title: "Sessions left out", class: "number", cell: (c) => loss(c.left_out) },
];

export default {
  id: "captures",
  title: "Captures",
  needs: [],
  render({ overview }) {
    if (overview.kind === "fleet")
      return [h("p", { class: "faint" }, "A fleet's inventory knows no captures: each proxy's own dashboard does.")];
    if (overview.captures.length === 0)
      return [
        h(
          "p",
          { class: "faint" },
          "No capture is known to run: nothing that is said inside the connections is being written down.",
        ),
      ];
    return [
      table({
        label: "Captures",
        columns: COLUMNS,
        rows: overview.captures,
        key: (c) => `${c.id} ${c.by} ${c.where}`,
        kind: "cards",
      }),
    ];
  },
};
