// The page of one camera: picture, count, map, history, patterns, alarms, health.

import { send } from "/static/api.js";
import { AlarmsPanel } from "/static/alarms.js";
import { sparkline } from "/static/charts.js";
import { download, fill, h, likely, numeral, people, refill, toast, when, whole } from "/static/dom.js";
import { Editor } from "/static/editor.js";
import { HistoryPanel, PatternsPanel } from "/static/history.js";
import { drawMap } from "/static/map.js";
import { namesOf } from "/static/order.js";
import { REGIONS } from "/static/overlay.js";
import { present } from "/static/present.js";
import { Stage } from "/static/stage.js";

const LATER = 600000; // ms after which weeks and events are asked for again: a page stays open for months

export class CameraPage {
  constructor(camera, { mayEdit, history, watch, recent }) {
    Object.assign(this, { camera, mayEdit, watch, recent });
    this.stage = new Stage(camera.id);
    this.title = h("h1", {}, camera.title);
    this.number = h("p.big", {}, "–");
    this.interval = h("p.small");
    this.spark = h("canvas", { role: "img" });
    this.parts = h("div");
    this.mapCanvas = h("canvas", { role: "img", "aria-label": "The ground from above, in people per square metre" });
    this.mapPanel = h("section.panel.map", {}, h("header", {}, h("h2", {}, "From above"), h("span.small", {}, "people per m²")), this.mapCanvas);
    this.facts = h("dl.facts");
    this.editorPlace = h("div");
    this.history = history ? new HistoryPanel(camera, (what) => this.patterns.load(what)) : null;
    this.patterns = history ? new PatternsPanel(camera) : null;
    this.alarms = new AlarmsPanel(camera);
    this.tools = h("div.row");
    this.element = h("div.grid", {},
      h("section.panel.stage", { "aria-label": camera.title }, this.stage.element, this.stage.switches(() => this.ask())),
      h("div.side", {},
        this.editorPlace,
        h("section.panel.count", { "aria-label": "Count" }, this.title, this.number, this.interval, this.spark, h("p.small")),
        h("section.panel", { "aria-label": "Regions and lines" }, this.parts, this.tools),
        this.mapPanel),
      this.history?.element ?? h("p.hint", {}, "No history is kept. Add history: {path: ...} to the config to see counts over time."), this.alarms.element, this.patterns?.element,
      h("section.panel.wide", { "aria-labelledby": "health" }, h("header", {}, h("h2", { id: "health" }, "Camera")), this.facts));
    this.fillTools();
  }

  /** Begin: ask for pictures and for what is shown below them. */
  open() {
    this.ask();
    this.setCamera(this.camera);
    this.setReading(this.camera.reading);
    this.history?.load();
    this.patterns?.load("count");
    this.alarms.load();
    this.timer = setInterval(() => this.renew(), LATER);
  }

  /** Ask again for what has changed meanwhile: weeks go on, and so do days in the list of events. */
  renew() {
    this.patterns?.load(this.patterns.what);
    this.alarms.load();
  }

  /** Catch up after a lost connection. */
  refresh() {
    this.history?.load();
    this.renew();
  }

  ask() {
    const { on } = this.stage;
    const hasMap = Boolean(this.camera.view) && on.map;
    this.mapPanel.hidden = !hasMap;
    this.stage.mapSwitch.hidden = !this.camera.view; // without a ground there is none
    this.watch({ [this.camera.id]: { image: true, points: on.points || hasMap, density: on.density, map: hasMap } });
  }

  fillTools() {
    const save = h("button", { type: "button", onclick: () => this.stage.canvas.toBlob((blob) => download(blob, `${this.camera.id}.png`)) }, "Save picture");
    const keep = h("button", { type: "button", title: "Keep this frame, to be labelled", onclick: () => this.keep() }, "Keep for labelling");
    this.edit = h("button.key", { type: "button", onclick: () => this.startEditing() }, "Edit regions");
    fill(this.tools, this.mayEdit ? [this.edit, keep, save] : [save]);
  }

  async keep() {
    try {
      const { kept } = await send("POST", `/api/cameras/${this.camera.id}/keep`);
      toast(`Kept as ${kept}`);
    } catch (error) {
      toast(error.message, true);
    }
  }

  startEditing() {
    if (this.editor) return;
    this.edit.disabled = true;
    this.stage.editing = true;
    this.editor = new Editor(this.camera, this.stage, () => {
      this.editor = null;
      this.stage.editing = false;
      this.edit.disabled = false;
      fill(this.editorPlace);
      this.stage.draw();
      this.edit.focus();
    });
    fill(this.editorPlace, this.editor.element);
    this.editor.open();
  }

  setCamera(camera) {
    const before = Boolean(this.camera.view);
    this.camera = camera;
    this.title.textContent = camera.title;
    if (this.editor) this.editor.camera = camera;
    this.stage.setCamera(camera);
    this.history?.setCamera(camera);
    this.alarms.setCamera(camera, this.mayEdit);
    if (before !== Boolean(camera.view)) this.ask();
    this.showCount();
    const { health } = camera;
    const none = health.state === "unknown" ? "not known" : "none yet";
    const facts = [
      ["State", health.state], ["Newest picture", health.age === null ? none : `${numeral(health.age, 1)} s old`],
      ["Pictures a second", health.fps === null ? "–" : numeral(health.fps, 1)], ["Size", health.size ? health.size.join(" × ") : "–"],
      ["Counted, dropped", `${whole(health.counted)}, ${whole(health.dropped)}`], ["Reconnects", whole(health.reconnects)],
      ["Damaged pictures", whole(health.damaged)], ["Picture", camera.reading ? `${camera.reading.picture}${camera.reading.night ? ", night" : ""}` : "–"],
    ];
    if (health.error) facts.push(["Last error", health.error]);
    refill(this.facts, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  setReading(reading) {
    if (!reading) return;
    this.reading = reading;
    this.stage.setReading(reading);
    this.stage.showScale();
    this.showCount();
    sparkline(this.spark, this.recent(this.camera.id));
  }

  /** Show the numbers: of now, or that there are none, with the last ones and their age. */
  showCount() {
    const { camera, reading } = this;
    if (!reading) return;
    const { number, unit, note, isOld } = present({ ...camera, reading }, this.recent(camera.id));
    const isNow = number !== null;
    refill(this.number, people(number), h("small", {}, unit));
    const single = isNow ? [likely(reading.smooth_interval ?? reading.interval), `this picture ${people(reading.count)}`] : [];
    this.interval.textContent = [...single, note].filter(Boolean).join(" · ");
    for (const element of [this.number, this.parts]) element.classList.toggle("old", isOld);
    this.spark.hidden = this.spark.nextSibling.hidden = camera.health.state !== "live";
    this.fillParts(reading, isNow);
    const mapped = isNow ? reading : null;
    if (this.mapPanel.hidden || !camera.view || mapped === this.mapped) return;
    drawMap(this.mapCanvas, camera, mapped);
    this.mapped = mapped;
  }

  fillParts({ at, regions, lines }, isNow) {
    const rows = namesOf(this.camera, "regions").map((name, i) => {
      const region = regions[name];
      const count = region?.smooth ?? region?.count;
      const swatch = h("i.swatch", { "aria-hidden": "true" });
      swatch.style.backgroundColor = REGIONS[i % REGIONS.length];
      const level = region?.level ? `${numeral(region.per_m2, 2)} per m², level ${region.level}` : "";
      const small = isNow || !region ? level : `last ${people(count)}`;
      return h("tr", {}, h("th", { scope: "row" }, swatch, name, small ? h("div.small", {}, small) : null), h("td", {}, h("strong", {}, isNow ? people(count) : "–")));
    });
    for (const name of namesOf(this.camera, "lines")) {
      const line = lines[name];
      rows.push(h("tr", {}, h("th", { scope: "row" }, `→ ${name}`, line ? h("div.small", {}, `since ${when(Date.parse(line.since) / 1000)}${isNow ? "" : `, to ${when(at)}`}`) : null), h("td", {}, line ? [h("strong", {}, whole(line.in)), " in ", h("strong", {}, whole(line.out)), " out"] : "–")));
    }
    refill(this.parts, rows.length ? h("table", {}, h("tbody", {}, rows)) : h("p.small", {}, "No regions or lines yet."));
  }

  onEvent(event) {
    if (event.camera === this.camera.id) this.alarms.add(event);
  }

  onPicture(camera, picture) {
    if (camera === this.camera.id) this.stage.setPicture(picture);
    else picture.close();
  }

  isDirty() {
    return Boolean(this.editor?.isDirty());
  }

  /** Draw the charts in the colours of another theme. */
  recolour() {
    this.history?.load();
    this.patterns?.load(this.patterns.what);
  }

  close() {
    clearInterval(this.timer);
    this.editor?.finish();
    this.history?.close();
    this.patterns?.close();
    this.stage.picture?.close();
  }
}
