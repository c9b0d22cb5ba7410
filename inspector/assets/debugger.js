// The debugger: events as they arrive, as Segment's source debugger shows them.
//
// Without a filter the page asks each second only for events newer than the newest one it has (`after`), and for
// what became of pending ones (`watch`). With a filter it asks for the first page again: matches may change.

import { copy, colourJson, element, fetchHere, isTyping, localTime, say, setNeeds, setOrganization, setWatermark, shortDuration, timeElement } from "./common.js";

const EVERY_MS = 1000;
const KEPT = 500;
const WATCHED = 100;
const SEARCH_DELAY_MS = 200;

const byId = (id) => document.getElementById(id);
const list = byId("events"), detail = byId("detail"), search = byId("q"), status = byId("status");
const pauseButton = byId("pause"), older = byId("older"), none = byId("none"), split = byId("split");

const rows = new Map(); // place -> {event, node}
let head = null; // the newest place known; null: ask for the first page
let paused = false;
let selected = null; // a message id
let active = null; // a place: where the keys are
let asked = 0; // counts the requests, so that a late answer to an old question is dropped
let isThere = null;
let activity = "stopped"; // whether anything moves the sync on, as the inspector said last

const newestFirst = (a, b) => (a.occurred_at === b.occurred_at ? b.place - a.place : a.occurred_at < b.occurred_at ? 1 : -1);
const ordered = () => [...rows.values()].map((row) => row.event).sort(newestFirst);
const isFiltered = () => search.value.trim() !== "" || status.value !== "";
const isNarrow = () => matchMedia("(max-width: 760px)").matches;

async function ask(parameters) {
  const answer = await fetchHere(`/api/events?${new URLSearchParams(parameters)}`);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

const filters = () => ({ q: search.value.trim(), status: status.value });

async function poll() {
  const mine = ++asked;
  const first = head === null || isFiltered();
  const pending = first ? [] : ordered().filter((event) => event.status === "pending").slice(0, WATCHED);
  const parameters = first ? filters() : { after: head, watch: pending.map((event) => event.place).join(",") };
  let answer;
  try {
    answer = await ask(parameters);
  } catch {
    if (mine !== asked) return;
    showLive("lost");
    byId("stopped").hidden = true; // nobody knows any more
    return;
  }
  if (mine !== asked) return;
  setWatermark(answer.watermark);
  setNeeds(answer.needs);
  setOrganization(answer.organization);
  activity = answer.activity;
  showStopped(answer);
  if (paused && head !== null) {
    const more = first ? Math.max(0, answer.head - head) : answer.events.length;
    showLive("paused", answer.full && !first ? `${more}+ new` : more ? `${more} new` : "Paused");
    return;
  }
  if (answer.reset || (answer.full && !first)) {
    // This is another file, or more events arrived at once than a page holds: begin again with the newest.
    clear();
    head = null;
    schedule(0);
    return;
  }
  const known = head !== null;
  if (first) merge(answer.events, answer.full);
  answer.changed.forEach(put);
  answer.events.forEach((event) => put(event, known));
  head = Math.max(answer.head, ...answer.events.map((event) => event.place));
  if (first && older.dataset.asked !== "yes") older.hidden = !answer.full;
  isThere = answer.file;
  draw();
  showLive(activity);
}

/** Say that no daemon runs, since when, and what to do. */
function showStopped(answer) {
  const stopped = byId("stopped");
  stopped.hidden = answer.activity !== "stopped" || !answer.file;
  if (stopped.hidden) return;
  const last = answer.last_cycle;
  const age = last && shortDuration((Date.parse(answer.now) - Date.parse(last)) / 1000);
  const since = last ? `No daemon running: the last cycle ended ${age} ago (${localTime(last)}).` : "No daemon running, and no cycle has ended yet.";
  byId("stopped-words").textContent = `${since} Nothing is read from Gladly or sent to Segment until one runs:`;
}

/** Take over the first page. Drop events that are missing from it, unless they are older than its last. */
function merge(events, full) {
  const places = new Set(events.map((event) => event.place));
  const last = full ? events[events.length - 1] : null;
  for (const [place, row] of rows) {
    if (!places.has(place) && (!last || newestFirst(row.event, last) < 0)) drop(place);
  }
}

function drop(place) {
  rows.get(place)?.node.remove();
  rows.delete(place);
}

function clear() {
  list.replaceChildren();
  rows.clear();
  older.hidden = true;
  older.dataset.asked = "";
}

function put(event, isNew = false) {
  const known = rows.get(event.place);
  if (known && known.event.status === event.status && known.event.reason === event.reason) return;
  const node = makeRow(event);
  if (known) known.node.replaceWith(node);
  else if (isNew) node.classList.add("is-new");
  rows.set(event.place, { event, node });
  if (event.message_id === selected) showDetail(event.message_id);
}

function makeRow(event) {
  const who = event.customer_name ?? event.customer_id;
  const node = element("li", "row-event", [
    element("span", "state", [element("span", `pill is-${event.status}`, event.status)]),
    element("bdi", `name is-${event.transition}`, event.event.replace(/^Gladly Conversation /, "")),
    element("bdi", event.customer_name ? "who" : "who id", who, { title: event.customer_id }),
    element("span", "aside", event.reason ?? ""),
    element("bdi", "conversation id", event.conversation_id),
    element("span", "when", [timeElement(event.occurred_at)]),
  ], { role: "option", id: `event-${event.place}`, "aria-selected": String(event.message_id === selected) });
  node.dataset.place = event.place;
  return node;
}

/** Put the rows in order, touching only those that are not. */
function draw() {
  let events = ordered();
  if (events.length > KEPT && older.dataset.asked !== "yes") {
    events.slice(KEPT).forEach((event) => drop(event.place));
    events = events.slice(0, KEPT);
    older.hidden = false;
  }
  let at = list.firstElementChild;
  for (const event of events) {
    const { node } = rows.get(event.place);
    if (node === at) at = at.nextElementSibling;
    else list.insertBefore(node, at);
  }
  if (active === null || !rows.has(active)) active = events.length ? events[0].place : null;
  if (selected === null && events.length && !isNarrow()) select(events[0], { quietly: true });
  markActive();
  drawNone(events.length);
}

function drawNone(count) {
  const kind = count ? "" : isFiltered() ? "no-match" : isThere === false ? "none-yet" : "no-events";
  split.classList.toggle("is-empty", kind === "no-events" || kind === "none-yet");
  none.hidden = !kind;
  if (none.dataset.kind === kind) return;
  none.dataset.kind = kind;
  none.replaceChildren(...(kind ? [byId(kind).content.cloneNode(true)] : []));
  byId("clear")?.addEventListener("click", clearFilters);
}

function markActive() {
  list.querySelector(".is-active")?.classList.remove("is-active");
  const node = active === null ? null : rows.get(active)?.node;
  node?.classList.add("is-active");
  if (node) list.setAttribute("aria-activedescendant", node.id);
  else list.removeAttribute("aria-activedescendant");
  return node;
}

function move(by) {
  const events = ordered();
  if (!events.length) return;
  const now = events.findIndex((event) => event.place === active);
  const next = events[Math.min(events.length - 1, Math.max(0, now + by))];
  active = next.place;
  markActive()?.scrollIntoView({ block: "nearest" });
}

function select(event, { quietly = false } = {}) {
  selected = event.message_id;
  active = event.place;
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  rows.get(event.place)?.node.setAttribute("aria-selected", "true");
  markActive();
  if (!quietly) split.classList.add("show-detail");
  showDetail(event.message_id).then(() => {
    if (!quietly && isNarrow()) detail.focus();
  });
  if (!quietly) setAddress({ ...filters(), event: event.message_id }, shownEvent() !== null);
}

const shownEvent = () => new URL(location.href).searchParams.get("event");

/** Put what is shown into the address. A new entry in the browser's history lets Back undo it. */
function setAddress(parameters, isSameStep) {
  const address = new URL("/", location.href);
  for (const [name, value] of Object.entries(parameters)) if (value) address.searchParams.set(name, value);
  if (address.href === location.href) return;
  if (isSameStep) history.replaceState(history.state, "", address);
  else history.pushState({ isOurs: true }, "", address);
}

/** Show what the address says: at the beginning, and after Back and Forward. */
function readAddress() {
  const wanted = new URL(location.href).searchParams;
  const before = JSON.stringify(filters());
  search.value = wanted.get("q") ?? "";
  status.value = wanted.get("status") ?? "";
  selected = wanted.get("event");
  split.classList.toggle("show-detail", selected !== null);
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  if (selected !== null) {
    for (const { event, node } of rows.values()) {
      if (event.message_id !== selected) continue;
      node.setAttribute("aria-selected", "true");
      active = event.place;
    }
    showDetail(selected);
  }
  if (JSON.stringify(filters()) !== before) {
    clear();
    head = null;
    schedule(0);
  } else if (head !== null) draw();
}

async function showDetail(messageId) {
  let event;
  try {
    const answer = await fetch(`/api/event?${new URLSearchParams({ id: messageId })}`);
    event = await answer.json();
    if (!answer.ok) throw new Error(event.error);
  } catch (error) {
    detail.replaceChildren(backButton(), element("p", "placeholder", error.message));
    return;
  }
  if (messageId === selected) detail.replaceChildren(...makeDetail(event));
}

function backButton() {
  const back = element("button", "back", "Back to the list", { type: "button" });
  back.addEventListener("click", closeDetail);
  return back;
}

function closeDetail() {
  if (shownEvent() !== null && history.state?.isOurs) history.back();
  else {
    setAddress(filters(), true);
    readAddress();
  }
  list.focus();
}

function clearFilters() {
  search.value = "";
  status.value = "";
  again();
}

const fact = (name, content, className = "") =>
  element("div", className, [element("dt", "", name), element("dd", "", [].concat(content))]);

const link = (address, parameter, value) =>
  element("a", "id", [element("bdi", "", value)], { href: `${address}?${new URLSearchParams({ [parameter]: value })}` });

function makeDetail(event) {
  const name = event.payload && /"customerName": ("(?:\\.|[^"\\])*")/.exec(event.payload)?.[1];
  const facts = [
    fact("Conversation", link("/conversation", "id", event.conversation_id)),
    fact("Customer", [name ? element("bdi", "", `${JSON.parse(name)} `) : "", link("/", "q", event.customer_id)]),
    fact("Recorded at Gladly", timeElement(event.occurred_at)),
    fact("Taken in", event.created_at ? timeElement(event.created_at) : "—"),
    fact("Delivered", event.delivered_at ? [timeElement(event.delivered_at), element("span", "quiet", ` after ${event.lag}`)] : "—"),
    fact("Attempts", String(event.attempts)),
    fact("Message id", element("span", "id", event.message_id), "wide"),
  ];
  const parts = [
    backButton(),
    element("div", "title", [element("h2", "", [element("bdi", "", event.event)]), element("span", `pill is-${event.status}`, event.status)]),
  ];
  if (event.reason) parts.push(element("p", event.status === "rejected" ? "trouble" : "why", event.reason));
  if (event.status === "rejected") {
    const command = `gladly-segment retry ${event.message_id}`;
    parts.push(element("p", "command", [element("code", "", command), element("button", "", "Copy", { type: "button", "data-copy": command })]));
  }
  parts.push(element("dl", "facts", facts));
  if (event.payload === null) {
    const why = { suppressed: "Nothing was sent, nothing is kept.", recorded: "Nothing was sent yet: the event is still to be looked up." };
    parts.push(element("p", "quiet", why[event.status] ?? "The payload has been erased since."));
    return parts;
  }
  const pre = element("pre", "code", event.payload, { id: "payload", tabindex: "0", role: "region", "aria-label": "The event as JSON" });
  colourJson(pre);
  const button = element("button", "", "Copy", { type: "button", id: "copy", "data-copy-from": "payload", "aria-keyshortcuts": "c" });
  parts.push(element("h3", "", event.attempts ? "Payload" : "Payload, not sent yet"), element("div", "codebox", [button, pre]));
  return parts;
}

const WORDS = { running: "Live", between: "Between cycles", stopped: "No daemon running", lost: "Connection lost", paused: "Paused" };

function showLive(state, words = WORDS[state]) {
  const live = byId("live");
  live.dataset.state = state;
  if (byId("live-words").textContent !== words) byId("live-words").textContent = words;
}

function setPaused(on) {
  paused = on;
  pauseButton.setAttribute("aria-pressed", String(on));
  pauseButton.textContent = on ? "Resume" : "Pause";
  showLive(on ? "paused" : activity);
  say(on ? "Paused" : WORDS[activity]);
  if (!on) schedule(0);
}

/** Begin the list anew, because the filters changed. */
function again() {
  clear();
  head = null;
  // Each letter typed into the same search is not a step of its own.
  setAddress(filters(), search.value.trim() !== "" && new URL(location.href).searchParams.has("q"));
  split.classList.remove("show-detail");
  selected = null;
  schedule(0);
}

let timer = null;
function schedule(delay = EVERY_MS) {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    if (!document.hidden) await poll();
    schedule();
  }, delay);
}

let typing = null;
search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(again, SEARCH_DELAY_MS); });
status.addEventListener("change", again);
byId("tools").addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typing); again(); list.focus(); });
pauseButton.addEventListener("click", () => setPaused(!paused));
document.addEventListener("visibilitychange", () => { if (!document.hidden) schedule(0); });

older.addEventListener("click", async () => {
  const events = ordered();
  const last = events[events.length - 1];
  const answer = await ask({ ...filters(), before: `${last.occurred_at},${last.place}` });
  older.dataset.asked = "yes";
  answer.events.forEach((event) => put(event));
  older.hidden = !answer.full;
  draw();
});

list.addEventListener("click", (event) => {
  const node = event.target.closest("li");
  if (node) select(rows.get(Number(node.dataset.place)).event);
});

list.addEventListener("keydown", (event) => {
  const keys = { Home: -Infinity, End: Infinity, PageDown: 10, PageUp: -10 };
  if (!(event.key in keys)) return;
  event.preventDefault();
  move(keys[event.key]);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    clearTimeout(typing);
    if (split.classList.contains("show-detail") && isNarrow()) closeDetail();
    else if (isFiltered() || new URL(location.href).search) clearFilters();
    if (event.target.closest("input, select")) list.focus();
    event.preventDefault();
    return;
  }
  if (isTyping(event)) return;
  const inList = !event.target.closest?.("a, button, pre, summary");
  if (event.key === "j" || (event.key === "ArrowDown" && inList)) move(1);
  else if (event.key === "k" || (event.key === "ArrowUp" && inList)) move(-1);
  else if (event.key === "Enter" && inList && active !== null) select(rows.get(active).event);
  else if (event.key === "p") setPaused(!paused);
  else if (event.key === "c") {
    const payload = byId("payload");
    if (payload) copy(payload.textContent, byId("copy"));
  } else return;
  if (event.key !== "p" && event.key !== "c" && document.activeElement !== list && !isNarrow()) list.focus({ preventScroll: true });
  event.preventDefault();
});

addEventListener("popstate", readAddress);
readAddress();
schedule(0);
