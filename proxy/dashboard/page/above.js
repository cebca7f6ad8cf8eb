// What stands above every view: what is not known, and what is wrong. Nothing is said to be complete
// that is not.

import { h } from "./dom.js";
import { plural, time } from "./words.js";

const AT_ONCE = 4; // sentences; more unfold

const SEVERITY = { critical: ["bad", "Critical: "], warning: ["doubt", "Warning: "] };

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

function list(items, more) {
  const rest = items.slice(AT_ONCE);
  return [
    h("ul", null, items.slice(0, AT_ONCE)),
    rest.length > 0 && h("details", null, h("summary", null, `${plural(rest.length, more)} more`), h("ul", null, rest)),
  ];
}

function warning({ severity, text, since }) {
  const [css, word] = SEVERITY[severity] ?? SEVERITY.warning;
  return h(
    "li",
    null,
    h("strong", { class: css }, word),
    sentence(text),
    since && h("span", { class: "faint" }, " Since ", time(since), "."),
  );
}

/** The content of the section. */
export function above({ overview }) {
  if (!overview) return [];
  const { unknown, warnings } = overview;
  const worst_first = [...warnings].sort(
    (a, b) => Number(b.severity === "critical") - Number(a.severity === "critical"),
  );
  return [
    h("h2", { id: "missing-title", class: "unseen" }, "What to know first"),
    unknown.length > 0
      ? h(
          "div",
          { class: "box missing", "data-key": "unknown" },
          h("h3", null, "Not known or left out"),
          list(
            unknown.map((text) => h("li", null, sentence(text))),
            "sentence",
          ),
        )
      : h("p", { class: "faint", "data-key": "complete" }, "Nothing is known to be left out."),
    worst_first.length > 0 &&
      h(
        "div",
        { class: `box ${worst_first[0].severity === "critical" ? "wrong" : "missing"}`, "data-key": "warnings" },
        h("h3", null, plural(warnings.length, "warning")),
        list(worst_first.map(warning), "warning"),
      ),
  ];
}
