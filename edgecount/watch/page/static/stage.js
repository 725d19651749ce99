// A live picture with its overlays.

import { fill, h, numeral, remembered, when, whole } from "/static/dom.js";
import { drawBoxes, drawHeat, drawPoints, drawShapes } from "/static/overlay.js";
import { isTrusted, present } from "/static/present.js";

const LAYERS = { density: "Density", points: "Points", regions: "Regions", lines: "Lines", map: "Map" };
const DEFAULT = { density: false, points: true, regions: true, lines: true, map: true };

/** Return which layers are switched on, as this browser left them. */
export function layers() {
  try {
    return { ...DEFAULT, ...JSON.parse(remembered("layers")) };
  } catch {
    return { ...DEFAULT };
  }
}

/** A canvas that shows a camera's pictures; overlays are drawn from the numbers of a reading.
 *
 * `isFitted`: its place has a shape of its own, in which pictures of any shape are shown whole.
 */
export class Stage {
  constructor(name, { overlays = true, isFitted = false } = {}) {
    Object.assign(this, { name, overlays, isFitted, picture: null, reading: null, camera: null });
    this.canvas = h("canvas", { width: 960, height: 540, role: "img" });
    this.message = h("p.message", { hidden: true });
    this.element = h("div.view", {}, this.canvas, this.message);
    this.on = layers();
  }

  setCamera(camera) {
    this.camera = camera;
    const { state, age, error } = camera.health;
    const words = { idle: "is not read", connecting: "is being opened", stalled: "has stopped sending pictures", waiting: "is away; it is tried again", ended: "has ended", failed: "was given up", unknown: "is not heard of: no connection to the service" };
    const parts = [];
    if (state !== "live") parts.push(`${camera.title} ${words[state] || state}${error ? `: ${error}` : "."}`);
    else if (age > 15) parts.push(`The picture is ${Math.round(age)} s old.`);
    if (state === "live" && this.reading && !isTrusted(this.reading)) parts.push(`The picture cannot be trusted: ${this.reading.picture}. Nothing is counted.`);
    this.message.textContent = parts.join(" ");
    this.message.hidden = !parts.length;
    if (this.describe() !== this.canvas.getAttribute("aria-label")) this.draw();
  }

  setReading(reading) {
    this.reading = reading;
    if (this.overlays) this.draw();
  }

  setPicture(picture) {
    this.picture?.close();
    this.picture = picture;
    this.draw();
  }

  toggle(layer) {
    this.on[layer] = !this.on[layer];
    remembered("layers", JSON.stringify(this.on));
    this.draw();
  }

  draw() {
    if (!this.picture) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const room = this.isFitted ? (this.element.clientHeight * this.picture.width) / this.picture.height : 0;
    const wide = Math.round(Math.min(Math.max(this.canvas.clientWidth, 200), room || Infinity) * ratio);
    const tall = Math.round((wide * this.picture.height) / this.picture.width);
    if (this.canvas.width !== wide || this.canvas.height !== tall) Object.assign(this.canvas, { width: wide, height: tall });
    const context = this.canvas.getContext("2d");
    context.drawImage(this.picture, 0, 0, wide, tall);
    if (this.overlays) this.drawOverlays(context, wide, tall, ratio);
    this.canvas.setAttribute("aria-label", this.describe());
  }

  drawOverlays(context, wide, tall, ratio) {
    const { reading, on } = this;
    if (on.density && reading?.density) drawHeat(context, reading.density, wide, tall);
    if (on.points && reading?.boxes) drawBoxes(context, reading.boxes, wide, tall, ratio);
    else if (on.points && reading?.points) drawPoints(context, reading.points, wide, tall, ratio);
    const shown = { ...this.camera, regions: on.regions ? this.camera?.regions : {}, excluded: on.regions ? this.camera?.excluded : [], lines: on.lines ? this.camera?.lines : {} };
    if (!this.editing) drawShapes(context, shown, this.count() === null ? null : reading, wide, tall, ratio);
  }

  /** Return the people of now, as the numbers beside the picture tell them; null if nothing is known. */
  count() {
    return this.camera ? present({ ...this.camera, reading: this.reading }).number : null;
  }

  describe() {
    const title = this.camera?.title || this.name;
    if (this.camera && this.camera.health.state !== "live") return `Last picture of ${title}${this.reading ? `, ${when(this.reading.at)}` : ""}`;
    return `Live picture of ${title}${this.count() === null ? "" : `, ${whole(this.reading.count)} people`}`;
  }

  /** Return the switches of the layers. */
  switches(onChange) {
    const buttons = Object.entries(LAYERS).map(([layer, title]) => {
      const button = h("button", { type: "button", "aria-pressed": `${this.on[layer]}`, "data-layer": layer, onclick: () => {
        this.toggle(layer);
        button.setAttribute("aria-pressed", `${this.on[layer]}`);
        this.legend.hidden = !this.on.density;
        onChange();
      } }, title);
      return button;
    });
    this.mapSwitch = buttons.find((one) => one.dataset.layer === "map");
    this.legend = h("span.legend", { hidden: !this.on.density }, h("i"), h("span"));
    return h("div.layers", { role: "group", "aria-label": "What is drawn over the picture" }, buttons, this.legend);
  }

  showScale() {
    const top = this.reading?.density?.top;
    if (top && this.legend && !this.legend.hidden) fill(this.legend.lastChild, `0 to ${numeral(top)} people per 100 × 100 px`);
  }
}
