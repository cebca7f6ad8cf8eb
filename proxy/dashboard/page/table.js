// Tables: sorted by their headings, a page of rows at a time. On a narrow screen page.css makes a
// card of each row, so roles are said in words: they would be lost with the tables' own layout.

import { h } from "./dom.js";
import { number } from "./words.js";

export const PAGE = 100; // rows in the document at once

const compare = (a, b) => {
  const none = (value) => value === null || value === undefined || value === "";
  if (none(a) || none(b)) return Number(none(a)) - Number(none(b));
  return typeof a === "number" && typeof b === "number"
    ? a - b
    : String(a).localeCompare(String(b), "en", { numeric: true });
};

/**
 * What `sort` asks for: "column" or "-column". Without it rows stay as they come, worst first. What
 * is not known is last both ways.
 */
export function sorted(rows, columns, sort) {
  const down = sort?.startsWith("-") ?? false;
  const column = columns.find((c) => c.id === (down ? sort.slice(1) : sort));
  if (!column) return rows;
  const values = new Map(rows.map((row) => [row, column.value(row)]));
  const none = (row) => values.get(row) === null || values.get(row) === undefined || values.get(row) === "";
  return [...rows].sort((a, b) => compare(values.get(a), values.get(b)) * (down && !none(a) && !none(b) ? -1 : 1));
}

/** What a click on a heading asks for next: up, down, and again as it came. */
export function next_sort(sort, id) {
  if (sort === id) return `-${id}`;
  return sort === `-${id}` ? null : id;
}

function heading(column, sort) {
  const direction = sort === column.id ? "ascending" : sort === `-${column.id}` ? "descending" : null;
  const title = column.value
    ? h("button", { type: "button", "data-do": "sort", "data-value": column.id }, column.title)
    : column.title;
  return h(
    "th",
    { role: "columnheader", scope: "col", "aria-sort": direction, class: column.class, "data-key": column.id },
    title,
  );
}

/** A cell's content by a column; nothing at all is an empty cell, which a card leaves out. */
function cell(column, row) {
  const content = column.cell(row);
  const empty =
    content === null || content === undefined || content === "" || (Array.isArray(content) && content.length === 0);
  return h(
    "td",
    { role: "cell", class: column.class, "data-label": column.title, "data-empty": empty },
    h("div", null, content),
  );
}

/**
 * `columns`: {id, title, cell(row), value(row) to sort by, class}. `key(row)`: what tells rows apart.
 * `attributes(row)` of its <tr>, `below(row)`: what stands in a row of its own under it, or null.
 */
export function table({ label, columns, rows, key, sort, attributes = () => ({}), below = () => null, kind = "" }) {
  const body = rows.map((row) => {
    const line = h(
      "tr",
      { role: "row", "data-key": key(row), ...attributes(row) },
      columns.map((column) => cell(column, row)),
    );
    const under = below(row);
    if (!under) return line;
    return [
      line,
      h(
        "tr",
        { role: "row", class: "below", "data-key": `${key(row)} below` },
        h("td", { role: "cell", colspan: columns.length }, under),
      ),
    ];
  });
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": label, tabindex: "0" },
    h(
      "table",
      { role: "table", "aria-label": label, class: kind },
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          columns.map((column) => heading(column, sort)),
        ),
      ),
      h("tbody", { role: "rowgroup" }, body),
    ),
  );
}

/** The rows of one page, and which page that is: fewer rows may have come in the meantime. */
export function page_of(rows, wanted) {
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const page = Math.min(Math.max(1, Number(wanted) || 1), pages);
  return { page, pages, rows: rows.slice((page - 1) * PAGE, page * PAGE) };
}

/** "101 to 200 of 1,204 that match; 5,000 in all", and the ways to the others. */
export function pager({ page, pages }, matching, total, noun) {
  const first = matching === 0 ? 0 : (page - 1) * PAGE + 1;
  const last = Math.min(matching, page * PAGE);
  const range = pages > 1 ? `${number(first)} to ${number(last)} of ${number(matching)}` : number(matching);
  const text = matching === total ? `${range} ${noun}` : `${range} shown, of ${number(total)} ${noun}`;
  const button = (title, to) =>
    h(
      "button",
      { type: "button", "data-do": "page", "data-value": to, "aria-disabled": to < 1 || to > pages ? "true" : null },
      title,
    );
  return h(
    "div",
    { class: "pager" },
    h("span", { class: "count" }, text),
    pages > 1 &&
      h(
        "nav",
        { "aria-label": `Pages of ${noun}` },
        button("Previous", page - 1),
        h("span", null, `page ${page} of ${pages}`),
        button("Next", page + 1),
      ),
  );
}

/** Words that all have to be in a text, whatever their case. */
export function matcher(text) {
  const words = (text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (haystack) => words.every((word) => haystack.includes(word));
}

/** A field whose value is kept in the address under `bind`. */
export const field = (label, bind, value, placeholder) =>
  h(
    "label",
    null,
    h("span", null, label),
    h("input", { type: "search", "data-bind": bind, value, placeholder, autocomplete: "off", spellcheck: "false" }),
  );

/** `options`: [value, title]. */
export const choice = (label, bind, value, options) =>
  h(
    "label",
    null,
    h("span", null, label),
    h(
      "select",
      { "data-bind": bind },
      options.map(([option, title]) =>
        h("option", { value: option, selected: option === (value ?? ""), "data-key": `o ${option}` }, title),
      ),
    ),
  );

export const form = (...fields) => h("form", { class: "filter", role: "search" }, fields);
