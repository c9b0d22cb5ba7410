// What every page shares: instants in the viewer's own time or in UTC, ages that tick, copying, JSON in colours, and
// pages that refresh themselves. Text is only ever set as text, never as markup.

// As in inspector/formatting.py: characters that change how other text looks are written out.
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;

export function visible(text) {
  return String(text).replace(INVISIBLE, (found) =>
    Array.from({ length: found.length }, (_, n) => "\\u" + found.charCodeAt(n).toString(16).padStart(4, "0")).join(""));
}

/** An element with a class, text or children, and attributes. */
export function element(tag, className, content, attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (Array.isArray(content)) made.append(...content.filter((each) => each !== null && each !== undefined));
  else if (content !== null && content !== undefined) made.textContent = visible(content);
  return made;
}

// Whether times are shown in UTC, and not in the viewer's own zone. The browser remembers it.
let isUtc = recall() === "yes";
let formats = makeFormats();

function recall() {
  try { return localStorage.getItem("utc"); } catch { return null; }
}

function makeFormats() {
  const zone = isUtc ? { timeZone: "UTC" } : {};
  const make = (parts) => new Intl.DateTimeFormat(undefined, { ...parts, ...zone });
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const day = { day: "numeric", month: "short" };
  return {
    clock: make({ ...clock, second: "2-digit", timeZoneName: "short" }), short: make(clock),
    day: make(day), dayAndYear: make({ ...day, year: "numeric" }), zone: make({ timeZoneName: "short" }),
  };
}

/** An instant for people, in two parts: the day, and the clock with its zone. */
function dayAndClock(instant) {
  const at = new Date(instant);
  const day = at.getFullYear() === new Date().getFullYear() ? formats.day : formats.dayAndYear;
  return [day.format(at), formats.clock.format(at)];
}

export const localTime = (instant) => dayAndClock(instant).join(", ");

export function timeElement(instant) {
  const made = element("time", "", instant, { datetime: instant });
  showTime(made);
  return made;
}

function showTime(time) {
  const instant = time.getAttribute("datetime");
  if (Number.isNaN(Date.parse(instant))) return;
  time.title = `${instant.replace("T", " ").replace("Z", "")} UTC`;
  const [day, clock] = dayAndClock(instant);
  time.replaceChildren(element("span", "", `${day},`), " ", element("span", "", clock));
}

/** Show all times of the page in UTC, or in the viewer's own zone. */
function setUtc(on) {
  isUtc = on;
  formats = makeFormats();
  try { localStorage.setItem("utc", on ? "yes" : "no"); } catch { /* then it holds for this page */ }
  enliven(document);
  showZone();
}

function showZone() {
  const name = formats.zone.formatToParts(new Date()).find((part) => part.type === "timeZoneName")?.value;
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const button = document.getElementById("utc");
  if (!button) return;
  document.getElementById("zone").textContent = isUtc ? "Times are in UTC." : `Times are in ${own}${own === name ? "" : ` (${name})`}.`;
  button.hidden = own === "UTC";
  button.textContent = isUtc ? "Show local time" : "Show UTC";
  button.setAttribute("aria-pressed", String(isUtc));
}

/** A duration as `gladly-segment status` writes it: 45s, 12m 5s, 23h 10m, 3d 4h. */
export function shortDuration(seconds) {
  let left = Math.round(Math.abs(seconds));
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count) parts.push(`${count}${unit}`);
  }
  return (seconds < 0 && parts.length ? "-" : "") + (parts.slice(0, 2).join(" ") || "0s");
}

function tick() {
  for (const each of document.querySelectorAll("[data-ago]")) {
    const at = Date.parse(each.dataset.ago);
    if (Number.isNaN(at)) continue;
    const words = `${shortDuration((Date.now() - at) / 1000)} ago`;
    if (each.textContent !== words) each.textContent = words;
    each.title = `${each.dataset.ago.replace("T", " ").replace("Z", "")} UTC`;
  }
}

export function setWatermark(position) {
  const mark = document.getElementById("mark");
  mark.hidden = !position;
  mark.querySelector("[data-ago]").dataset.ago = position ?? "";
  tick();
}

/** Say whose state this is, once the file knows it. */
export function setOrganization(name) {
  const whose = document.getElementById("organization"), file = document.getElementById("file").textContent;
  if (!name || whose.textContent) return;
  whose.textContent = visible(name);
  document.title = document.title.replace(` · ${file}`, ` · ${visible(name)} · ${file}`);
}

/** Say in the title, the icon and the header how many things need a person. */
export function setNeeds(count) {
  const alarm = document.getElementById("alarm");
  if (Number(alarm.dataset.needs) === count) return;
  alarm.dataset.needs = count;
  alarm.hidden = !count;
  alarm.textContent = `${count} ${count === 1 ? "needs" : "need"} you`;
  document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  document.getElementById("icon").setAttribute("href", `/assets/${count ? "icon-needs-you" : "icon"}.svg`);
}

/** Fetch from the inspector, and say on the page when it does not answer any more. */
export async function fetchHere(address, options) {
  let answer = null;
  try {
    answer = await fetch(address, options);
  } finally {
    // Another inspector on this port has another token, and answers 403.
    const lost = document.getElementById("lost");
    const isLost = !answer || answer.status === 403;
    if (lost.hidden === isLost) {
      lost.textContent = isLost ? `Connection lost at ${formats.clock.format(new Date())}: the inspector does not answer, so this page no longer changes. If it has ended, start it again and open the address that it prints: gladly-segment inspect` : "";
      lost.hidden = !isLost;
    }
  }
  return answer;
}

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

/** Colour the JSON in a <pre>; its text stays as it is. */
export function colourJson(pre) {
  const text = pre.textContent;
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(TOKEN)) {
    const [whole, string, colon, number] = found;
    const kind = string ? (colon ? "key" : "string") : number ? "number" : "word";
    const token = string ?? whole;
    const span = document.createElement("span");
    span.className = `j-${kind}`;
    span.textContent = token;
    parts.push(text.slice(from, found.index), span);
    from = found.index + token.length;
  }
  parts.push(text.slice(from));
  pre.replaceChildren(...parts);
}

/** Show times, JSON and ages in a part of the page as the viewer reads them. */
export function enliven(root) {
  root.querySelectorAll("time[datetime]").forEach(showTime);
  root.querySelectorAll("[data-instant]").forEach((each) => {
    const at = new Date(each.dataset.instant);
    if (each.dataset.after !== undefined) each.textContent = localTime(at) + each.dataset.after;
    else each.textContent = formats[each.dataset.as === "day" ? "day" : "short"].format(at);
  });
  root.querySelectorAll("pre[data-kind=json]").forEach(colourJson);
  tick();
}

export function say(words) {
  document.getElementById("said").textContent = words;
}

export async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard without a secure context: the old way.
    const area = element("textarea", "unseen", null, { "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  say(done ? "Copied" : "Could not copy");
  if (!button) return;
  const before = button.dataset.words ?? button.textContent;
  button.dataset.words = before;
  button.textContent = done ? "Copied" : "Failed";
  setTimeout(() => { button.textContent = before; }, 1200);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy], button[data-copy-from]");
  if (!button) return;
  const from = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
  copy(from ? from.textContent : button.dataset.copy, button);
});

// A touch shows the figures of a day as the keyboard does: by the focus, which not every browser gives to it.
document.addEventListener("click", (event) => event.target.closest("button.day")?.focus());

export function isTyping(event) {
  return event.target.closest?.("input, select, textarea, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey;
}

// A touch has no pointer that could rest on a time and read its title. So it turns the times of the page to UTC.
document.addEventListener("click", (event) => {
  if (event.target.closest("#utc") || (event.target.closest("time") && !event.target.closest("a, button, [role=option]"))) setUtc(!isUtc);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) document.querySelector("a[data-clear]")?.click();
  if (event.target.matches?.("textarea[data-submits]") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.target.form.requestSubmit();
  } else if (event.key === "/" && !isTyping(event)) {
    const search = document.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// A page drawn by the server fetches itself again and again. It does not change while a person uses it.
const page = document.querySelector("[data-refresh]");
let drawn = null;

function isInUse() {
  const selection = document.getSelection();
  return document.hidden || (selection && !selection.isCollapsed) || page.contains(document.activeElement);
}

async function refresh() {
  if (isInUse()) return;
  try {
    const answer = await fetchHere(location.href, { headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = fresh.querySelector("[data-refresh]");
    if (!next || isInUse()) return;
    setOrganization(fresh.getElementById("organization")?.textContent);
    setWatermark(fresh.querySelector("#mark [data-ago]")?.dataset.ago || null);
    setNeeds(Number(fresh.getElementById("alarm")?.dataset.needs ?? 0));
    if (drawn === next.innerHTML) return;
    drawn = next.innerHTML;
    const open = [...page.querySelectorAll("details[open][id]")].map((each) => each.id);
    page.replaceChildren(...next.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    enliven(page);
  } catch {
    // The inspector has ended; the page stays as it was, and says so.
  }
}

if (page) {
  drawn = page.innerHTML;
  setInterval(refresh, 1000 * Number(page.dataset.refresh));
}
enliven(document);
showZone();
setInterval(tick, 1000);
