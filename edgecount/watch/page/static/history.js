// Counts over time, their export, and what weeks look like.

import { get } from "/static/api.js";
import { bandSeries, chart } from "/static/charts.js";
import { colour, download, fill, h, now, people, toast, when, whole } from "/static/dom.js";
import { namesOf, same } from "/static/order.js";
import { inferno } from "/static/overlay.js";

const RANGES = [["15 min", 900], ["1 h", 3600], ["6 h", 21600], ["24 h", 86400], ["7 days", 604800], ["30 days", 2592000], ["1 year", 31536000]];
const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/** The panel of counts over time. */
export class HistoryPanel {
  constructor(camera, onWhat) {
    Object.assign(this, { camera, onWhat, what: "count", span: 86400, fixed: null, found: null });
    this.plotPlace = h("div.plot");
    this.read = h("p.read.small", { "aria-live": "off" });
    this.buttons = RANGES.map(([title, span]) => h("button", { type: "button", "aria-pressed": "false", onclick: () => this.choose(span) }, title));
    this.select = h("select", { "aria-label": "What is shown", onchange: () => this.ask(this.select.value) });
    this.element = h("section.panel", { "aria-labelledby": "history" },
      h("header", {}, h("h2", { id: "history" }, "Over time"), this.select, h("div.ranges", { role: "group", "aria-label": "Range" }, this.buttons)),
      this.plotPlace, this.read, this.controls());
    this.fillSelect();
    this.resized = new ResizeObserver(() => this.plot?.setSize({ width: this.plotPlace.clientWidth, height: 260 }));
    this.resized.observe(this.plotPlace);
    this.timer = setInterval(() => this.keepUp(), 15000);
  }

  /** Return the row with which a range is chosen to the minute, moved, and saved. */
  controls() {
    const button = (text, label, onclick) => h("button", { type: "button", "aria-label": label, onclick }, text);
    const [from, to] = (this.ends = ["From", "To"].map((label) => h("input", { type: "datetime-local", "aria-label": label, onchange: () => this.pick() })));
    return h("div.row.ends", {}, button("‹", "Earlier", () => this.shift(-1)), from, h("span.small", {}, "to"), to, button("›", "Later", () => this.shift(1)), h("span.fill"),
      button("CSV", "Save the range as CSV", () => this.saveCsv()), button("PNG", "Save the chart as PNG", () => this.savePng()));
  }

  pick() {
    const [from, to] = this.ends.map((end) => new Date(end.value).getTime() / 1000);
    if (from < to) this.zoom(from, to);
    else if (from >= to) toast("The range has to begin before it ends.", true);
  }

  /** Go on or back by as much time as is shown, not beyond now. */
  shift(way) {
    const [from, to] = this.shown;
    const end = Math.min(to + way * (to - from), now());
    this.zoom(end - (to - from), end);
  }

  zoom(from, to) {
    this.fixed = [from, to];
    this.load();
  }

  /** Show what has been counted since; long ranges seldom, and none under somebody's eyes. */
  keepUp() {
    this.turn = (this.turn || 0) + 1;
    if (this.fixed || document.hidden || this.plot?.cursor.left >= 0) return;
    if (this.span <= 3600 || this.turn % 8 === 0) this.load();
  }

  fillSelect() {
    const names = [["count", "Whole picture"], ...namesOf(this.camera, "regions").map((name) => [`region:${name}`, name]), ...namesOf(this.camera, "lines").map((name) => [`line:${name}`, `${name}, in and out`])];
    fill(this.select, names.map(([value, title]) => h("option", { value }, title)));
    this.select.value = names.some(([value]) => value === this.what) ? this.what : "count";
  }

  setCamera(camera) {
    const isSame = ["regions", "lines"].every((kind) => same(namesOf(camera, kind), namesOf(this.camera, kind)));
    this.camera = camera;
    if (isSame) return;
    this.fillSelect();
    if (this.select.value !== this.what) this.ask(this.select.value); // what was shown is no more
  }

  ask(what) {
    this.what = what;
    this.load();
    this.onWhat(what);
  }

  choose(span) {
    Object.assign(this, { span, fixed: null });
    this.load();
  }

  range() {
    return this.fixed || [now() - this.span, now()];
  }

  query() {
    const [from, to] = this.range();
    return { camera: this.camera.id, what: this.what, from: from.toFixed(0), to: to.toFixed(0) };
  }

  async load() {
    RANGES.forEach(([, span], i) => this.buttons[i].setAttribute("aria-pressed", `${!this.fixed && span === this.span}`));
    this.shown = this.range();
    this.shown.forEach((at, i) => { this.ends[i].value = localMinute(at); });
    const asked = (this.asked = {});
    try {
      const found = await get("/api/history", { ...this.query(), points: Math.max(120, Math.min(900, this.plotPlace.clientWidth || 600)) });
      if (asked === this.asked) this.show({ ...found, what: this.what, title: this.select.selectedOptions[0].text });
    } catch (error) {
      if (asked === this.asked) this.empty(error.message);
    }
  }

  empty(text) {
    this.plot?.destroy();
    this.plot = null;
    fill(this.plotPlace, h("p.empty", {}, text));
    for (const name of ["role", "aria-label"]) this.plotPlace.removeAttribute(name); // those of a picture, which hide words
    this.read.textContent = "";
  }

  show(found) {
    this.found = found;
    if (found.what.startsWith("line:")) return this.showLine(found);
    const known = found.mean.map((value, i) => [value, found.seconds[i]]).filter(([value]) => value !== null);
    if (!known.length) return this.empty("Nothing was counted in this range.");
    const mean = known.reduce((sum, [value, seconds]) => sum + value * seconds, 0) / known.reduce((sum, [, seconds]) => sum + seconds, 0);
    const peak = found.max.reduce((best, value, i) => (value !== null && value > (found.max[best] ?? -Infinity) ? i : best), 0);
    const summary = `Mean ${people(mean)}, most ${people(found.max[peak])} (${this.at(peak)}), by ${unit(found.step)}. Dark band: likely range; pale: least to most.`;
    return this.draw([found.time, found.min, found.max, found.low, found.high, found.mean], bandSeries(), summary);
  }

  /** Show how many went in, and how many out, in each step. */
  showLine(found) {
    const [into, out] = [found.into || [], found.out || []].map((values) => values.filter((value) => value !== null && value !== undefined));
    if (!into.length) return this.empty("Nobody was counted across this line in this range.");
    const sum = (values) => values.reduce((a, b) => a + b, 0);
    const line = { width: 2, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) };
    const series = [{ ...line, stroke: colour("line"), fill: colour("reach") }, { ...line, stroke: colour("other"), dash: [5, 4] }];
    return this.draw([found.time, found.into, found.out], { series }, `${whole(sum(into))} in (line), ${whole(sum(out))} out (dashed), by ${unit(found.step)}.`);
  }

  draw(data, series, summary) {
    this.plot?.destroy();
    fill(this.plotPlace);
    const { local, time, title } = this.found;
    const nearest = (seconds) => time.reduce((best, one, i) => (Math.abs(one - seconds) < Math.abs(time[best] - seconds) ? i : best), 0);
    const ahead = local && ((seconds) => atClock(local[nearest(seconds)]) / 1000 - time[nearest(seconds)]);
    this.plot = chart(this.plotPlace, { data, ...series, ahead, range: this.range(), onPick: (from, to) => this.zoom(from, to), onRead: (index) => this.tell(index) });
    this.summary = `${summary} Drag over a part to see it closer.`;
    this.plotPlace.setAttribute("role", "img");
    this.plotPlace.setAttribute("aria-label", `${title} of ${this.camera.title}: ${summary}`);
    this.tell(null);
  }

  /** Return when a step was: a day is one of the service's, whose date may not be that of the browser. */
  at(index) {
    const { local, time } = this.found;
    return local ? dayOf(atClock(local[index]), { year: "numeric" }) : when(time[index]);
  }

  tell(index) {
    const { found } = this;
    if (index !== null && index !== undefined && found.what.startsWith("line:")) this.read.textContent = `${this.at(index)}: ${people(found.into[index])} in, ${people(found.out[index])} out`;
    else if (index === null || index === undefined || found.mean[index] === null || found.mean[index] === undefined) this.read.textContent = this.summary;
    else this.read.textContent = `${this.at(index)}: ${people(found.mean[index])}, likely ${people(found.low[index])} to ${people(found.high[index])}, least ${people(found.min[index])}, most ${people(found.max[index])}`;
  }

  async saveCsv() {
    const name = `${this.fileName()}.csv`;
    try {
      const response = await fetch(`/api/export.csv?${new URLSearchParams(this.query())}`);
      if (!response.ok) throw new Error((await response.json()).error);
      download(await response.blob(), name);
    } catch (error) {
      toast(`The counts could not be exported: ${error.message}`, true);
    }
  }

  savePng() {
    if (!this.plot) return;
    const chartCanvas = this.plot.ctx.canvas;
    const [ratio, head] = [window.devicePixelRatio || 1, 44];
    const canvas = h("canvas", { width: chartCanvas.width + 32 * ratio, height: chartCanvas.height + (head + 12) * ratio });
    const context = canvas.getContext("2d");
    context.fillStyle = colour("panel");
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = colour("ink");
    context.font = `600 ${16 * ratio}px system-ui, sans-serif`;
    context.fillText(`${this.camera.title}: ${this.found.title}`, 16 * ratio, 28 * ratio, canvas.width - 32 * ratio);
    context.drawImage(chartCanvas, 16 * ratio, head * ratio);
    canvas.toBlob((blob) => download(blob, `${this.fileName()}.png`));
  }

  fileName() {
    const day = localMinute(this.range()[0]).slice(0, 10);
    return `${this.camera.id}-${this.what}-${day}`.replace(/[^\w-]+/g, "-");
  }

  close() {
    this.asked = null;
    clearInterval(this.timer);
    this.resized.disconnect();
    this.plot?.destroy();
  }
}

/** Return a time as an input of the browser's own zone has it. */
function localMinute(seconds) {
  return new Date(seconds * 1000 - new Date(seconds * 1000).getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

function unit(step) {
  for (const [seconds, word] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) if (step >= seconds) return step === seconds ? `a ${word}` : `${Math.round(step / seconds)} ${word}s`;
  return `${step} s`;
}

/** The panel of hours of the week, of this week against the last, and of the busiest hours. */
export class PatternsPanel {
  constructor(camera) {
    this.camera = camera;
    this.body = h("div.patterns");
    this.clock = h("span.small.clock");
    this.element = h("section.panel.wide", { "aria-labelledby": "patterns" }, h("header", {}, h("h2", { id: "patterns" }, "Hours and weeks"), this.clock), this.body);
    this.resized = new ResizeObserver(() => this.plot?.setSize({ width: this.weeks.clientWidth, height: 190 }));
  }

  async load(what) {
    this.what = what;
    const asked = (this.asked = {});
    try {
      const found = await get("/api/patterns", { camera: this.camera.id, what });
      if (asked === this.asked) this.show(found);
    } catch (error) {
      if (asked === this.asked) fill(this.body, h("p.hint", {}, error.message));
    }
  }

  /** Show all of it by the service's clock: hours of the week are hours of a place, wherever they are looked at. */
  show({ hours, busiest, weeks, zone, monday }) {
    this.clock.textContent = `by the clock of the service, ${zone}`;
    this.weeks = h("div.plot.low", { role: "img", "aria-label": "Mean count by hour, this week against last" });
    const list = h("table.wide", {}, h("thead", {}, h("tr", {}, h("th", {}, "Busiest hours"), h("th", {}, "mean"), h("th", {}, "most"))),
      h("tbody", {}, busiest.map((one) => h("tr", {}, h("th", { scope: "row" }, dayAndHour(one.local)), h("td", {}, people(one.mean)), h("td", {}, people(one.max))))));
    fill(this.body,
      h("div.stack", {}, h("h3", {}, `A week by hour: ${this.what.startsWith("line:") ? "people in" : "mean"}${upTo(hours, ", up to")}`), heat(hours)),
      h("div.stack", {}, h("h3", {}, "This week (line) against last (dashed)"), this.weeks),
      busiest.length ? list : null);
    this.plot?.destroy();
    this.resized.disconnect();
    const first = atClock(monday).getTime() / 1000;
    const times = weeks.last.map((_, i) => first + 3600 * i);
    this.plot = chart(this.weeks, { data: [times, weeks.last, weeks.this], height: 190, ahead: () => 0, series: [
      { stroke: colour("other"), width: 1.5, dash: [5, 4], points: { show: false } },
      { stroke: colour("line"), width: 2, points: { show: false } },
    ] });
    this.resized.observe(this.weeks);
  }

  close() {
    this.asked = null;
    this.resized.disconnect();
    this.plot?.destroy();
  }
}

function heat(hours) {
  const top = Math.max(1, most(hours));
  const head = h("tr", {}, h("td"), Array.from({ length: 24 }, (_, hour) => h("th", { scope: "col" }, hour % 3 ? "" : `${hour}`)));
  const rows = hours.map((day, i) => h("tr", {}, h("th", { scope: "row" }, DAYS[i].slice(0, 3)), day.map((value, hour) => {
    const text = value === null ? "nothing counted" : `${people(value)} people`;
    const cell = h("td", { title: `${DAYS[i]} ${hour}:00, ${text}`, "aria-label": text });
    if (value !== null) cell.style.backgroundColor = shade(value / top);
    return cell;
  })));
  return h("table.heat", { "aria-label": `Mean count by hour of the week${upTo(hours, ", at most")}` }, h("thead", {}, head), h("tbody", {}, rows));
}

function most(hours) {
  return Math.max(0, ...hours.flat().filter((value) => value !== null));
}

/** Return the most people in words; nothing where nothing was counted. */
function upTo(hours, words) {
  return hours.flat().some((value) => value !== null) ? `${words} ${people(most(hours))}` : "";
}

/** Return a colour that grows brighter (in the light, darker) with a share. */
function shade(share) {
  const light = document.documentElement.dataset.theme === "light";
  const [red, green, blue] = inferno(light ? 1 - share : share);
  return `rgb(${red} ${green} ${blue} / ${Math.round(14 + 86 * share ** 0.7)}%)`;
}

/** Return a date that has in UTC what the service's clock shows at "2026-11-30T08:00". */
function atClock(local) {
  return new Date(`${local}Z`);
}

function dayAndHour(local) {
  const at = atClock(local);
  return `${dayOf(at, { weekday: "short" })}, ${at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" })}`;
}

function dayOf(at, more) {
  return at.toLocaleDateString([], { day: "numeric", month: "short", timeZone: "UTC", ...more });
}
