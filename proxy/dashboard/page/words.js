// Words, numbers and times as pgairlock's report has them. What is not known is said, never 0.

import { h, name } from "./dom.js";

export const UNKNOWN = "not known";
const known = (value) => value !== null && value !== undefined;

/** "5,000" */
export const number = (value) => (known(value) ? Math.round(value).toLocaleString("en-US") : UNKNOWN);

/** A rate: "0", "0.4", "12", "1,204"; what is not quite nothing is never "0". */
export function rate(value) {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "0";
  if (value < 0.05) return "< 0.1";
  return value < 10 ? value.toFixed(1) : number(value);
}

export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** "1.8 GB" */
export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 1000 && unit + 1 < units.length) {
    value /= 1000;
    ++unit;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const two = (value) => String(value).padStart(2, "0");

/** "14:03:22" */
export function clock(text) {
  const t = new Date(text);
  return `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}:${two(t.getUTCSeconds())}`;
}

/** "2026-11-25 04:12" */
export const minute = (text) => `${text.slice(0, 10)} ${text.slice(11, 16)}`;

/** A point in time, in full where it is pointed at. */
export const time = (text, shown = minute) =>
  text ? h("time", { datetime: text, title: text }, shown(text)) : UNKNOWN;

/** How long, in the report's words. */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const whole = (length, unit) => plural(Math.max(0, Math.floor(seconds / length)), unit);
  if (seconds < 120) return whole(1, "second");
  if (seconds < 120 * 60) return whole(60, "minute");
  return seconds < 48 * 3600 ? whole(3600, "hour") : whole(86400, "day");
}

/** Seconds from one time to another. */
export const seconds_between = (from, to) => (from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : null);

/** "41 hours ago", by the clock of the data: the reader's own may be wrong. */
export function ago(text, now) {
  const seconds = seconds_between(text, now);
  if (seconds === null) return UNKNOWN;
  return seconds < 0 ? "at a time still to come" : `${duration(seconds)} ago`;
}

/** The first answer: good, bad, or not known; colour only repeats the word. */
export function answer(word, bad, good) {
  if (!known(word)) return h("span", { class: "doubt" }, UNKNOWN);
  return h(
    "span",
    { class: word === "unknown" ? "doubt" : word === bad ? "bad" : word === good ? "good" : null },
    word,
  );
}

const STATE_CLASS = {
  "in clear": "bad",
  "falls back": "bad",
  mixed: "bad",
  "not verifying": "bad",
  unknown: "doubt",
  verifying: "good",
};
export const state_class = (state) => STATE_CLASS[state] ?? "doubt";

const TREND_CLASS = { better: "good", worse: "bad", new: "doubt" };
export const trend = (word) =>
  word ? h("span", { class: TREND_CLASS[word] }, word) : h("span", { class: "faint" }, UNKNOWN);

/** libpq's modes that the evidence leaves open. */
export function sslmode(min, max) {
  if (!min || !max) return UNKNOWN;
  if (min === max) return min;
  if (min === "disable" && max === "verify-full") return "unknown";
  if (min === "disable") return `<= ${max}`;
  return max === "verify-full" ? `>= ${min}` : `${min}..${max}`;
}

export function who(client) {
  return known(client.usename)
    ? [name(client.usename), h("wbr"), "@", name(client.datname ?? "")]
    : h("span", { class: "faint" }, "(not known)");
}

export const program = (path) => (path ? path.slice(path.lastIndexOf("/") + 1) : "");

const common_name = (subject) => /(?:^|,\s*)CN=((?:\\.|[^,\\])+)/.exec(subject)?.[1] ?? subject;

/** How to call each of these subjects: by its CN, or in full where two have the same. */
export function short_names(subjects) {
  const by_name = new Map();
  for (const subject of subjects) {
    if (subject) by_name.set(common_name(subject), (by_name.get(common_name(subject)) ?? new Set()).add(subject));
  }
  return (subject) => {
    if (!subject) return UNKNOWN;
    const called = common_name(subject);
    return h("span", { title: subject }, (by_name.get(called)?.size ?? 1) > 1 ? subject : called);
  };
}

const days = (count) => (count < 1 ? "less than a day" : plural(Math.floor(count), "day"));

/** "12 days left"; what is over is bad, what is near doubtful. */
export function days_left(left) {
  if (!known(left)) return UNKNOWN;
  // Whole days are rounded down: -1 is over since less than one.
  if (left < 0) return h("span", { class: "bad" }, `expired ${days(-left - 1)} ago`);
  return h("span", { class: left < 7 ? "bad" : left < 30 ? "doubt" : null }, `${days(left)} left`);
}

export const small = (...content) => h("small", null, ...content);
