// What is not known, and the sessions that are open, by the stream of events.
function show(overview) {
  const unknown = document.getElementById("unknown");
  unknown.replaceChildren(...overview.unknown.map((sentence) => {
    const item = document.createElement("li");
    item.textContent = sentence;
    return item;
  }));
  const sessions = document.getElementById("sessions");
  sessions.replaceChildren();
  for (const [mode, count] of Object.entries(overview.now?.sessions ?? {})) {
    const term = document.createElement("dt");
    term.textContent = mode;
    const value = document.createElement("dd");
    value.textContent = count;
    sessions.append(term, value);
  }
}

new EventSource("/api/events").addEventListener("now", (event) => show(JSON.parse(event.data)));
