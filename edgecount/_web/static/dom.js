// Elements and texts. Names of cameras and alarms are never parsed as HTML: they become text nodes.

/** Return a new element: a tag with classes ("p.hint"), its properties, and what is in it. */
export function h(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  assign(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Return a new SVG element. */
export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  assign(element, properties);
  element.append(...children);
  return element;
}

function assign(element, properties) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
}

/** Put other children into an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** Return a number as the browser's language writes it, as dates are; `digits` after the point, or as many as it has. */
export function numeral(value, digits) {
  return value.toLocaleString([], { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Return a count as people read it: whole from ten on, with one digit below. */
export function people(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return numeral(value, value >= 9.95 ? 0 : 1);
}

/** Return how many have crossed a line. */
export function whole(value) {
  return numeral(value, 0);
}

/** Return both ends of an interval, or nothing. */
export function likely(interval) {
  return interval ? `likely ${whole(interval[0])} to ${whole(interval[1])}` : "";
}

/** Return a time of day, with the day if it is not today. */
export function when(seconds) {
  const moment = new Date(seconds * 1000);
  const clock = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (moment.toDateString() === new Date().toDateString()) return clock;
  return `${moment.toLocaleDateString([], { day: "numeric", month: "short" })} ${clock}`;
}

const HOLDS = 90000; // ms for which a look at the service's clock holds
let looks = []; // of that time: when, and s that the service's clock seemed to be ahead
let ahead = 0; // s that it is ahead of this one's

/** Note the service's time: devices without a battery seldom have the right one.
 *
 * A message that was long on its way makes that clock seem to be behind, and none makes it seem to be
 * ahead: the look that found it the farthest ahead is the one that was delayed least.
 */
export function setClock(time) {
  const at = performance.now();
  looks = looks.filter((one) => at - one.at < HOLDS);
  looks.push({ at, found: time - Date.now() / 1000 });
  const most = Math.max(...looks.map(({ found }) => found));
  ahead = Math.abs(most) > 2 ? most : 0; // less is the way of a message
}

/** Return the service's time. */
export function now() {
  return Date.now() / 1000 + ahead;
}

/** Return how long ago something was. */
export function since(seconds) {
  const past = Math.max(0, now() - seconds);
  if (past < 90) return `${Math.round(past)} s`;
  if (past < 5400) return `${Math.round(past / 60)} min`;
  if (past < 129600) return `${Math.round(past / 3600)} h`;
  return `${Math.round(past / 86400)} days`;
}

/** Return one of the colours of the style sheet. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Return what this browser was told to remember, after noting a new value if one is given. */
export function remembered(key, value) {
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return value ?? null; // a browser that keeps nothing
  }
}

/** Replace children if that changes a word: else a screen reader would lose the place. */
export function refill(element, ...children) {
  const fresh = h("div", {}, ...children);
  if (fresh.textContent !== element.textContent) element.replaceChildren(...fresh.childNodes);
}

/** Say something at the lower edge for some seconds. */
export function toast(text, bad = false) {
  const element = h(bad ? "p.toast.bad" : "p.toast", {}, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), bad ? 9000 : 4000);
}

/** Offer bytes as a file. */
export function download(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
