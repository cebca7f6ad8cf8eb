// What the page knows, and how it stays new: the stream of events says what changed, and what is
// shown is then fetched. When the stream breaks, everything stays as it was, and `lost` says since when.

const FETCH_EVERY = 5000; // ms between two fetches of the same, at least
const HISTORY_LENGTH = 5 * 60 * 1000; // ms of the proxy's clock
const EVENTS_KEPT = 1000;
const HIDDEN_FOR = 30000; // ms after which a page that nobody sees gives its place at the proxy to others
const AGAIN = 2000; // ms

const MOST_SESSIONS = 1000; // of thousands: what is left out is said, and the console has it
const ASKED_WITH = { sessions: `?most=${MOST_SESSIONS}` };

export const SOURCES = ["sessions", "clients", "certificates", "hosts", "rotation"];

const NOT_OF_A_FLEET = new Set(["sessions", "hosts"]); // only a running proxy knows them

export const store = {
  overview: null,
  history: [],
  events: [], // the newest first
  lost: null, // {since, why, polled}: no stream; `polled`: asked for again and again instead
  sources: Object.fromEntries(
    SOURCES.map((name) => [
      name,
      { data: null, error: null, version: -1, wanted: 0, busy: false, next: 0, timer: null },
    ]),
  ),
};

let changed = () => {};
let shown = new Set();
let stream = null;
let heard = 0; // when the stream last said something, by the browser's steady clock
let retry = null;
let hidden = null;
let process = null; // which run of the proxy the events' numbers belong to
let seen = new Set();
let unnumbered = 0;

/** Beside the page; without the name and password that its own address may hold. */
const beside = (path) => new URL(path, location.origin + location.pathname);

async function get(path) {
  const answer = await fetch(beside(path), { cache: "no-cache" });
  if (answer.ok) return answer.json();
  const error = new Error(answer.status === 503 ? await reason(answer) : `the answer was ${answer.status}`);
  error.status = answer.status;
  throw error;
}

async function reason(answer) {
  try {
    return (await answer.json()).error ?? "not ready";
  } catch {
    return "not ready";
  }
}

/** Fetches what is shown and was said to have changed; never two of the same at once. */
function refresh(name) {
  const source = store.sources[name];
  if (!store.overview || (store.overview.kind === "fleet" && NOT_OF_A_FLEET.has(name))) return;
  if (!shown.has(name) || source.busy || source.timer || (source.data && source.version === source.wanted)) return;
  const wait = Math.max(0, source.next - performance.now());
  source.timer = setTimeout(() => load(name, source), wait);
}

async function load(name, source) {
  source.timer = null;
  source.busy = true;
  const started = performance.now();
  const version = source.wanted;
  try {
    source.data = await get(`api/${name}.json${ASKED_WITH[name] ?? ""}`);
    source.version = version;
    source.error = null;
  } catch (error) {
    source.error = error.message;
  }
  source.busy = false;
  const took = performance.now() - started;
  source.next = started + (source.data ? Math.max(FETCH_EVERY, 20 * took) : AGAIN);
  changed();
  if (!store.lost) refresh(name); // a failure, or a change while it was on its way: again
}

/** Which sources the view that is open needs. */
export function show(names) {
  shown = new Set(names);
  for (const name of shown) refresh(name);
}

function add_point(point) {
  const last = store.history.at(-1);
  if (last && Date.parse(point.t) <= Date.parse(last.t)) return;
  const oldest = Date.parse(point.t) - HISTORY_LENGTH;
  store.history = [...store.history.filter((p) => Date.parse(p.t) >= oldest), point];
}

function doubt_all() {
  for (const source of Object.values(store.sources)) {
    source.version = -1;
    source.next = 0;
  }
}

function take_overview(overview) {
  const run = overview.proxy ? `${overview.proxy.id} ${overview.proxy.started}` : "fleet";
  if (process !== run) {
    if (process !== null) {
      store.history = [];
      doubt_all(); // this one counts its versions anew
    }
    process = run;
    seen = new Set();
  }
  for (const point of overview.now?.history ?? []) add_point(point);
  store.overview = overview;
}

function take_versions(versions) {
  for (const name of SOURCES) {
    if (versions[name] !== undefined) store.sources[name].wanted = versions[name];
    refresh(name);
  }
}

function take_event(id, event) {
  if (id && seen.has(id)) return;
  if (id) seen.add(id);
  store.events = [{ key: `${process} ${id || `without ${++unnumbered}`}`, ...event }, ...store.events].slice(
    0,
    EVENTS_KEPT,
  );
}

/** The page says it once: who listens to it is not told again each time that it was tried in vain. */
function lose(why, polled = false) {
  if (store.lost && store.lost.why === why && store.lost.polled === polled) return;
  store.lost = { since: store.lost?.since ?? store.overview?.generated ?? null, why, polled };
  changed();
}

function found() {
  heard = performance.now();
  if (!store.lost) return;
  store.lost = null;
  doubt_all(); // whatever was said meanwhile was not heard
}

/** A stream that cannot be had tells no reason; an ordinary question does. */
async function ask_why() {
  try {
    take_overview(await get("api/overview.json"));
    for (const name of shown) {
      store.sources[name].version = -1; // nobody says what has changed
      refresh(name);
    }
    lose("", true);
  } catch (error) {
    lose(error.status === 401 ? "it asks for a token: reload this page" : error.status ? error.message : "");
  }
  changed();
}

function close() {
  stream?.close();
  stream = null;
}

function open() {
  close();
  clearTimeout(retry);
  heard = performance.now();
  stream = new EventSource(beside("api/events"));
  const on = (kind, take) =>
    stream.addEventListener(kind, (message) => {
      found();
      take(JSON.parse(message.data), message.lastEventId);
      changed();
    });
  on("now", take_overview);
  on("versions", take_versions);
  on("left_out", ({ events }) =>
    take_event("", { event: "left_out", ts: store.overview?.generated ?? null, count: events }),
  );
  on("audit", (event, id) => take_event(id, event));
  stream.onerror = () => {
    if (!store.lost) lose("");
    if (stream?.readyState === EventSource.CONNECTING) return; // the browser tries again by itself
    close();
    ask_why();
    retry = setTimeout(open, AGAIN);
  };
}

/** A proxy that is stopped, or a network that swallows everything, breaks nothing: it is only silent. */
function listen_for_silence() {
  const patience = store.overview?.kind === "fleet" ? 35000 : 10000;
  if (!stream || performance.now() - heard < patience) return;
  lose("it says nothing");
  open();
}

export function start(on_change) {
  changed = on_change;
  open();
  setInterval(listen_for_silence, 1000);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden);
    if (document.hidden) {
      hidden = setTimeout(() => {
        clearTimeout(retry);
        close();
      }, HIDDEN_FOR);
    } else if (!stream) {
      open();
    }
  });
}
