// Style and script of the report in HTML. The page's Content-Security-Policy names them by their
// hashes. The script sorts and filters; nothing needs it to be read.
#pragma once

#include <string_view>

namespace proxy::report {

inline constexpr std::string_view style = R"css(
:root{color-scheme:light dark;--ground:#fff;--text:#1a1d21;--faint:#5d6670;--line:#d5dae0;--band:#f4f6f8;--bad:#b3261e;--doubt:#8a5a00;--good:#1b6e3c;
--plain:#c62828;--old:#ef8e2c;--t12:#6fa8dc;--t13:#2e7d5b;--other:#8a8f98;--onplain:#fff}
@media (prefers-color-scheme:dark){:root{--ground:#15181c;--text:#e4e7ea;--faint:#9aa4ae;--line:#363c44;--band:#1e2329;--bad:#ff8a80;--doubt:#ffc766;--good:#7bd69a;
--plain:#e5564d;--old:#f2a65a;--t12:#6fa8dc;--t13:#4caf84;--other:#8a8f98;--onplain:#15181c}}
body{margin:1rem;background:var(--ground);color:var(--text);font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.3rem 0}
.faint{color:var(--faint)}.bad{color:var(--bad)}.doubt{color:var(--doubt)}.good{color:var(--good)}.number{text-align:right;font-variant-numeric:tabular-nums}
.tiles{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}.tile{border:1px solid var(--line);border-radius:6px;padding:.6rem .9rem;min-width:8.5rem;max-width:14rem}
.missing{border-left:4px solid var(--doubt);padding:.1rem .8rem;margin:.8rem 0}.missing p{color:var(--doubt)}
.tile b{display:block;font-size:1.6rem;line-height:1.2}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
th{background:var(--band);vertical-align:bottom}td{overflow-wrap:break-word;max-width:15rem}td.word{white-space:nowrap}
table.clients{font-size:.82rem}table.clients>thead th,table.clients>tbody>tr>td{padding:.3rem .4rem}table.clients td{overflow-wrap:anywhere;max-width:11rem}
table.clients small{display:block;color:var(--faint);font-size:.92em}
th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid currentColor}
th[aria-sort=ascending] button::after{content:" \2191"}th[aria-sort=descending] button::after{content:" \2193"}
form{display:flex;flex-wrap:wrap;gap:.75rem;margin:.5rem 0}input,select{font:inherit;padding:.25rem .4rem}
summary{cursor:pointer}details table{font-size:.85rem;margin:.3rem 0}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}
svg{width:100%;max-width:60rem;height:auto}svg text{fill:var(--faint);font-size:11px}.axis{stroke:var(--line)}
svg text.on{fill:var(--onplain)}.m-plain{fill:var(--plain)}.m-old{fill:var(--old)}.m-t12{fill:var(--t12)}.m-t13{fill:var(--t13)}.m-other{fill:var(--other)}
.key{display:inline-block;margin-right:1.2rem}.key svg{width:.8rem;height:.8rem}
@media print{body{margin:0;font-size:11px}form{display:none}tr{break-inside:avoid}.scroll{overflow:visible}}
)css";

inline constexpr std::string_view script = R"js(
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const value = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent.trim();
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = (a, b) => head.dataset.type === "number" ? Number(a) - Number(b) : a.localeCompare(b);
    const rows = [...body.rows].sort((a, b) => compare(value(a, i), value(b, i)) * (down ? -1 : 1));
    body.append(...rows);
  }));
}
const text = document.getElementById("text"), action = document.getElementById("action"), shown = document.getElementById("shown");
const rows = [...document.querySelectorAll("table.clients > tbody > tr")];
function filter() {
  const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const content = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => content.includes(word)) || (action.value !== "" && row.dataset.action !== action.value);
    if (!row.hidden) ++count;
  }
  shown.textContent = count + " of " + rows.length;
}
text.addEventListener("input", filter);
action.addEventListener("change", filter);
document.getElementById("filter").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("filter").hidden = false;
filter();
)js";

}  // namespace proxy::report
