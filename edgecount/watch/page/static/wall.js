// All cameras beside each other.

import { h, people, refill } from "/static/dom.js";
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
      found?.stage.setCamera(camera);
      if (found) found.title.textContent = camera.title;
      if (camera.reading) this.setReading(camera.reading);
    }
    refill(this.sinks, sinks.length ? sinks.map((sink) => h("tr", {}, h("th", { scope: "row" }, h(`i.mark.${sink.is_open ? "live" : "away"}`, { "aria-hidden": "true" }), ` ${sink.name}`, h("div.small", {}, sink.error || (sink.is_open ? "" : "not open"))), ...[sink.delivered, sink.waiting, sink.dropped].map((value) => h("td", {}, value.toLocaleString())))) : h("tr", {}, h("th", {}, "Nowhere but here: the config names no sinks."), h("td")));
  }

  setReading(reading) {
    const found = this.tiles.get(reading.camera);
    if (!found) return;
    if (reading.points) found.stage.setReading(reading);
    found.number.textContent = people(reading.smooth ?? reading.count);
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
  const stage = new Stage(camera.id);
  const [title, number] = [h("span"), h("b", {}, "–")];
  const element = h("a.panel.tile", { href: `#/${camera.id}` }, stage.element, h("footer", {}, title, number, h("i.small", {}, "people")));
  return { stage, title, number, element };
}
