// Pictures: they repeat what stands beside them in numbers, so nothing rests on seeing them.

import { h } from "./dom.js";

/** Shares of a whole, from left to right. `parts`: {count, css, title}. */
export function share_bar(parts, label) {
  const total = parts.reduce((sum, part) => sum + part.count, 0);
  let x = 0;
  const rects = parts.map((part) => {
    const width = total > 0 ? (1000 * part.count) / total : 0;
    const rect = part.count > 0 ? h("rect", { class: part.css, x, y: 0, width: Math.max(width, 3), height: 10 }) : null;
    x += width;
    return rect;
  });
  return h(
    "svg",
    { class: "share", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": label },
    rects,
  );
}

export const swatch = (css) =>
  h(
    "svg",
    { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
    h("rect", { class: css, width: 10, height: 10 }),
  );

const STEPS = [1, 2, 3, 5];

/** The next round number. */
export function ceiling(value) {
  for (let power = 1; ; power *= 10) {
    for (const step of STEPS) if (step * power >= value) return step * power;
  }
}

/** Lines over the last minutes; where nothing was heard for a while there is no line. `lines`: {css, of(point)}. */
export function line_chart(points, lines, label) {
  const [width, height, span, gap] = [600, 100, 300000, 7000];
  const end = points.length > 0 ? Date.parse(points.at(-1).t) : 0;
  const most = ceiling(Math.max(1, ...points.flatMap((point) => lines.map((line) => line.of(point) ?? 0))));
  const path = (line) => {
    let before = -Infinity;
    return points
      .filter((point) => line.of(point) !== null)
      .map((point) => {
        const t = Date.parse(point.t);
        const move = t - before > gap ? "M" : "L";
        before = t;
        const [x, y] = [width * (1 - (end - t) / span), height * (1 - line.of(point) / most)];
        return `${move}${x.toFixed(1)} ${y.toFixed(1)}`;
      })
      .join("");
  };
  return h(
    "div",
    { class: "chart" },
    h("span", { class: "top" }, most),
    h("span", { class: "bottom" }, 0),
    h(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      [0, 0.5, 1].map((share) =>
        h("line", { class: "axis", x1: 0, x2: width, y1: height * share, y2: height * share }),
      ),
      lines.map((line) => h("path", { class: line.css, d: path(line) })),
    ),
    h("span", { class: "left" }, "5 minutes ago"),
    h("span", { class: "right" }, "now"),
  );
}

const ROOM = 15; // days above whose bars a number still fits

/** A bar for each day. `bands`: {css, of(day)}, from the bottom up. `above(day)`: what stands over it. */
export function day_bars(days, bands, above, label) {
  const [height, step] = [160, 30];
  const most = ceiling(Math.max(1, ...days.map((day) => bands.reduce((sum, band) => sum + band.of(day), 0))));
  const width = step * Math.max(days.length, 7);
  const bars = days.map((day, i) => {
    let y = height;
    return bands.map((band) => {
      const part = (height * band.of(day)) / most;
      y -= part;
      return (
        part > 0 &&
        h("rect", { class: band.css, x: i * step + 2, y: y.toFixed(1), width: step - 4, height: part.toFixed(1) })
      );
    });
  });
  const numbers = [...days.map(above), ...Array(Math.max(0, 7 - days.length)).fill("")];
  return h(
    "div",
    { class: "chart days" },
    days.length <= ROOM &&
      h(
        "span",
        { class: "numbers", "aria-hidden": "true" },
        numbers.map((text) => h("span", null, text)),
      ),
    h("span", { class: "top" }, most),
    h("span", { class: "bottom" }, 0),
    h(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      [0, 0.5, 1].map((share) =>
        h("line", { class: "axis", x1: 0, x2: width, y1: height * share, y2: height * share }),
      ),
      bars,
    ),
    h("span", { class: "left" }, days[0]?.day ?? ""),
    h("span", { class: "right" }, days.length > 1 ? days.at(-1).day : ""),
  );
}
