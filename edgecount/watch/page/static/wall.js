// All cameras beside each other.

import { h, people, refill, whole } from "/static/dom.js";
import { present } from "/static/present.js";
import { Stage } from "/static/stage.js";

export class Wall {
  constructor(cameras, sinks, { watch }) {
    this.watch = watch;
    this.tiles = new Map(cameras.map((camera) => [camera.id, tile(camera)]));
    this.sinks = h("tbody");
    this.element = h("div.stack", {},
      h("h1.unseen", {}, "All cameras"),
      h("div.wall", {}, [...this.tiles.values()].map(({ element }) => element)),
      h("section.panel", { "aria-labelledby": "sinks" }, h("header", {}, h("h2", { id: "sinks" }, "Where counts go")),
        h("table", {}, h("thead", {}, h("tr", {}, ...["Sink", "taken", "waiting", "lost"].map((text) => h("th", { scope: "col" }, text)))), this.sinks)));
    this.setState({ cameras, sinks });
  }

  open() {
    this.watch(Object.fromEntries([...this.tiles.keys()].map((name) => [name, { image: true, points: true }])));
  }

  setState({ cameras, sinks }) {
    for (const camera of cameras) {
      const found = this.tiles.get(camera.id);
      if (!found) continue;
      if (camera.reading) this.setReading(camera.reading);
      found.stage.setCamera(camera);
      found.title.textContent = camera.title;
      showCount(found, camera);
    }
    refill(this.sinks, sinks.length ? sinks.map((sink) => h("tr", {}, h("th", { scope: "row" }, h(`i.mark.${sink.is_open ? "live" : "away"}`, { "aria-hidden": "true" }), ` ${sink.name}`, h("div.small", {}, sink.error || (sink.is_open ? "" : "not open"))), ...[sink.delivered, sink.waiting, sink.dropped].map((value) => h("td", {}, whole(value))))) : h("tr", {}, h("th", {}, "Nowhere but here: the config names no sinks."), h("td")));
  }

  setReading(reading) {
    const found = this.tiles.get(reading.camera);
    if (!found) return;
    // States tell no points of a counted picture; one that is not counted has none.
    if (reading.points || reading.count === null) found.stage.setReading(reading);
    if (found.stage.camera) showCount(found, { ...found.stage.camera, reading });
  }

  onEvent() {}

  onPicture(camera, picture) {
    const found = this.tiles.get(camera);
    if (found) found.stage.setPicture(picture);
    else picture.close();
  }

  close() {
    for (const { stage } of this.tiles.values()) stage.picture?.close();
  }
}

function tile(camera) {
  const stage = new Stage(camera.id, { isFitted: true });
  const [title, number, note] = [h("span"), h("b", {}, "–"), h("i.small")];
  const element = h("a.panel.tile", { href: `#/${camera.id}` }, stage.element, h("footer", {}, title, number, note));
  return { stage, title, number, note, element, counted: [] };
}

function showCount(found, camera) {
  const { reading } = camera;
  if (reading && reading.count !== null) found.counted = [reading];
  const { number, unit, note, isOld } = present(camera, found.counted);
  found.number.textContent = people(number);
  found.number.classList.toggle("old", isOld);
  found.note.textContent = [unit, note].filter(Boolean).join(", ");
}
