// Drawing regions, lines and the ground with mouse, finger and keyboard.

import { send } from "/static/api.js";
import { fill, h, svg, toast } from "/static/dom.js";
import { REGIONS } from "/static/overlay.js";

const STEP = 0.005; // of the picture, that an arrow key moves a corner
const MOST = 100; // steps that can be taken back

export class Editor {
  constructor(camera, stage, onEnd) {
    Object.assign(this, { camera, stage, onEnd, past: [], chosen: null });
    this.before = drawn(camera);
    this.shapes = structuredClone(this.before);
    this.layer = svg("svg", { role: "group", "aria-label": "Corners on the picture" });
    this.list = h("div.stack");
    this.fields = h("div.stack");
    this.hint = h("p.small", { role: "status" });
    this.undoButton = h("button", { type: "button", disabled: true, onclick: () => this.undo() }, "Undo");
    this.saveButton = h("button.key", { type: "button", onclick: () => this.save() }, "Save");
    const add = (text, kind) => h("button", { type: "button", onclick: () => this.add(kind) }, text);
    this.element = h("section.panel", { "aria-labelledby": "editor" },
      h("header", {}, h("h2", { id: "editor", tabindex: -1 }, "Regions, lines, ground")),
      h("div.stack", {}, this.list, h("div.row", {}, add("+ Region", "regions"), add("+ Line", "lines"), add("+ Left out", "excluded"), add("+ Ground", "ground")), this.fields, this.hint,
        h("div.row", {}, this.saveButton, this.undoButton, h("button", { type: "button", onclick: () => this.cancel() }, "Cancel"))));
    this.keys = (event) => this.onKey(event);
  }

  open() {
    this.stage.element.append(this.layer);
    document.addEventListener("keydown", this.keys);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.stage.element);
    this.choose(this.all()[0]?.key ?? null);
    this.element.querySelector("h2").focus({ preventScroll: true });
    this.stage.draw();
  }

  /** Return all shapes: a key, their corners, and how they are called. */
  all() {
    const { regions, excluded, lines, ground } = this.shapes;
    return [
      ...Object.entries(regions).map(([name, region], i) => ({ key: `regions:${name}`, kind: "regions", name, title: name, points: region.polygon, colour: REGIONS[i % REGIONS.length], closed: true, least: 3 })),
      ...Object.entries(lines).map(([name, line]) => ({ key: `lines:${name}`, kind: "lines", name, title: `→ ${name}`, points: [line.start, line.end], colour: "#ffffff", closed: false, least: 2 })),
      ...excluded.map((points, i) => ({ key: `excluded:${i}`, kind: "excluded", name: i, title: `left out ${i + 1}`, points, colour: "#b0b0b0", closed: true, least: 3 })),
      ...(ground ? [{ key: "ground:", kind: "ground", name: "", title: "ground", points: ground.corners, colour: "#ffb347", closed: true, least: 4 }] : []),
    ];
  }

  find(key = this.chosen) {
    return this.all().find((shape) => shape.key === key);
  }

  /** Change something, so that it can be taken back. */
  change(action) {
    this.note();
    action();
    this.draw();
  }

  note() {
    this.past.push(JSON.stringify(this.shapes));
    if (this.past.length > MOST) this.past.shift();
    this.undoButton.disabled = false;
  }

  undo() {
    if (!this.past.length) return;
    const focused = document.activeElement;
    this.shapes = JSON.parse(this.past.pop());
    this.undoButton.disabled = !this.past.length;
    if (!this.find()) this.chosen = this.all()[0]?.key ?? null;
    this.choose(this.chosen);
    // A button that is disabled under the focus would lose it.
    if (focused === this.undoButton && this.undoButton.disabled) this.saveButton.focus();
  }

  add(kind) {
    const around = [[0.35, 0.4], [0.65, 0.4], [0.65, 0.7], [0.35, 0.7]];
    let key = "ground:";
    if (kind === "ground" && this.shapes.ground) return this.choose(key);
    this.note();
    if (kind === "ground") this.shapes.ground = { corners: [[0.35, 0.45], [0.65, 0.45], [0.8, 0.85], [0.2, 0.85]], width: 5, depth: 5 };
    else if (kind === "excluded") key = `excluded:${this.shapes.excluded.push(around) - 1}`;
    else {
      const name = this.freeName(kind, kind === "regions" ? "region" : "line");
      this.shapes[kind][name] = kind === "regions" ? { polygon: around } : { start: [0.5, 0.8], end: [0.5, 0.4] };
      key = `${kind}:${name}`;
    }
    this.choose(key);
    this.layer.scrollIntoView({ block: "nearest" });
    this.layer.querySelector("[data-corner]").focus({ preventScroll: true });
  }

  freeName(kind, word) {
    let number = 1;
    while (`${word} ${number}` in this.shapes[kind]) number += 1;
    return `${word} ${number}`;
  }

  remove({ kind, name }) {
    this.note();
    if (kind === "ground") this.shapes.ground = null;
    else if (kind === "excluded") this.shapes.excluded.splice(name, 1);
    else delete this.shapes[kind][name];
    this.choose(this.all()[0]?.key ?? null);
    this.undoButton.focus();
  }

  rename({ kind, name }, wanted) {
    const to = wanted.trim();
    if (!to || to === name) return this.choose(this.chosen);
    if (to in this.shapes[kind]) {
      toast(`There is already one called ${to}.`, true);
      return this.choose(this.chosen);
    }
    this.note();
    this.shapes[kind] = Object.fromEntries(Object.entries(this.shapes[kind]).map(([key, value]) => [key === name ? to : key, value]));
    this.choose(`${kind}:${to}`);
  }

  choose(key) {
    this.chosen = key;
    const shape = this.find();
    const hadFocus = this.list.contains(document.activeElement);
    fill(this.list, this.all().map((one) => {
      const swatch = h("i.swatch", { "aria-hidden": "true" });
      swatch.style.backgroundColor = one.colour;
      return h("div.shape", { "aria-current": `${one.key === key}` }, swatch, h("button.name", { type: "button", onclick: () => this.choose(one.key) }, one.title), h("button", { type: "button", "aria-label": `Delete ${one.title}`, onclick: () => this.remove(one) }, "Delete"));
    }));
    if (hadFocus) this.list.querySelector("[aria-current=true] .name")?.focus();
    fill(this.fields, shape ? this.fieldsOf(shape) : []);
    this.hint.textContent = shape ? (shape.kind === "lines" ? "Drag the ends. Who crosses towards the arrow goes in." : shape.kind === "ground" ? "Put the corners on a rectangle whose sides you know: paving, a crossing, a pitch." : "Drag the corners; drag a small one for another corner. Arrow keys move, Delete takes a corner away.") : "Add a region to count people in it, or a line to count who crosses it.";
    this.draw();
  }

  fieldsOf(shape) {
    const field = (text, input) => h("label.small", {}, text, input);
    if (shape.kind === "ground") {
      return ["width", "depth"].map((side) => field(side === "width" ? "Metres from corner 1 to 2" : "Metres from corner 2 to 3", h("input", { type: "number", min: "0.1", step: "any", value: `${this.shapes.ground[side]}`, onchange: (event) => this.change(() => { this.shapes.ground[side] = Number(event.target.value); }) })));
    }
    if (shape.kind === "excluded") return [];
    const name = field("Name", h("input", { type: "text", maxlength: 60, value: shape.name, onchange: (event) => this.rename(shape, event.target.value) }));
    if (shape.kind === "regions") return [name];
    return [name, h("button", { type: "button", onclick: () => this.change(() => { const line = this.shapes.lines[shape.name]; [line.start, line.end] = [line.end, line.start]; }) }, "Turn the arrow round")];
  }

  /** Draw all shapes, and handles on the chosen one. Coordinates are pixels of the page. */
  draw() {
    const { clientWidth: width, clientHeight: height } = this.stage.canvas;
    if (!width) return;
    this.layer.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const focused = document.activeElement?.dataset?.corner;
    const at = ([x, y]) => [x * width, y * height];
    this.layer.replaceChildren();
    for (const shape of this.all()) {
      const isChosen = shape.key === this.chosen;
      const corners = shape.points.map((point) => at(point).map((value) => value.toFixed(1)).join(",")).join(" ");
      const tag = shape.closed ? "polygon" : "polyline";
      const body = svg(tag, { points: corners, class: shape.closed ? "draft" : "draft line", fill: shape.kind === "ground" ? "none" : shape.colour, stroke: shape.colour, "stroke-opacity": isChosen ? 1 : 0.75 });
      body.addEventListener("pointerdown", (event) => (isChosen ? this.drag(event, (dx, dy, start) => this.shift(shape.key, start, dx, dy)) : this.choose(shape.key)));
      this.layer.append(svg(tag, { points: corners, class: "casing" }), body);
      if (shape.kind === "lines") this.layer.append(...arrow(at(shape.points[0]), at(shape.points[1])));
      if (isChosen) this.handles(shape, at);
    }
    if (focused) this.layer.querySelector(`[data-corner="${focused}"]`)?.focus();
  }

  handles(shape, at) {
    const { points } = shape;
    if (shape.closed && shape.kind !== "ground") {
      points.forEach((point, i) => {
        const next = points[(i + 1) % points.length];
        const [x, y] = at([(point[0] + next[0]) / 2, (point[1] + next[1]) / 2]);
        const handle = svg("circle", { cx: x, cy: y, r: 6, class: "handle mid", fill: shape.colour });
        handle.addEventListener("pointerdown", (event) => {
          this.note();
          points.splice(i + 1, 0, [x / this.stage.canvas.clientWidth, y / this.stage.canvas.clientHeight]);
          this.drag(event, (dx, dy, start) => this.move(shape.key, i + 1, start, dx, dy), false);
        });
        this.layer.append(handle);
      });
    }
    points.forEach((point, i) => {
      const [x, y] = at(point);
      const label = `${shape.title}, corner ${i + 1} of ${points.length}, ${Math.round(100 * point[0])}% across, ${Math.round(100 * point[1])}% down`;
      const reach = svg("circle", { cx: x, cy: y, r: 22, class: "touch" });
      const handle = svg("circle", { cx: x, cy: y, r: 11, class: "handle", fill: shape.colour, tabindex: 0, role: "button", "aria-label": label, "data-corner": `${i}` });
      for (const one of [reach, handle]) one.addEventListener("pointerdown", (event) => this.drag(event, (dx, dy, start) => this.move(shape.key, i, start, dx, dy)));
      this.layer.append(reach, handle);
      if (shape.kind === "ground") {
        const number = svg("text", { x: x + 15, y: y - 9, fill: "#fff", stroke: "#0d0f12", "stroke-width": 3, "paint-order": "stroke", "font-size": 15 });
        number.textContent = `${i + 1}`;
        this.layer.append(number);
      }
    });
  }

  /** Follow a pointer until it is let go. */
  drag(event, onMove, isNew = true) {
    if (event.button) return;
    event.preventDefault();
    event.stopPropagation();
    let isNoted = !isNew;
    const { clientWidth: width, clientHeight: height } = this.stage.canvas;
    const start = structuredClone(this.find().points);
    const [x, y] = [event.clientX, event.clientY];
    // The handle is drawn anew at each move, so that the layer has to follow the pointer.
    this.layer.setPointerCapture(event.pointerId);
    const move = (next) => {
      if (!isNoted) this.note();
      isNoted = true;
      onMove((next.clientX - x) / width, (next.clientY - y) / height, start);
      this.draw();
    };
    const end = () => {
      this.layer.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) this.layer.removeEventListener(name, end);
    };
    this.layer.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) this.layer.addEventListener(name, end);
  }

  move(key, corner, start, dx, dy) {
    const point = this.find(key).points[corner];
    [point[0], point[1]] = [inside(start[corner][0] + dx), inside(start[corner][1] + dy)];
  }

  shift(key, start, dx, dy) {
    const limit = (way, axis) => Math.min(Math.max(way, -Math.min(...start.map((p) => p[axis]))), 1 - Math.max(...start.map((p) => p[axis])));
    const [right, down] = [limit(dx, 0), limit(dy, 1)];
    this.find(key).points.forEach((point, i) => { [point[0], point[1]] = [inside(start[i][0] + right), inside(start[i][1] + down)]; });
  }

  onKey(event) {
    if (event.key === "Escape") return this.cancel();
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && event.target.tagName !== "INPUT") {
      event.preventDefault();
      return this.undo();
    }
    const corner = event.target.dataset?.corner;
    const shape = this.find();
    if (corner === undefined || !shape) return undefined;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (way) {
      event.preventDefault();
      const step = STEP * (event.shiftKey ? 10 : 1);
      this.change(() => this.move(shape.key, Number(corner), structuredClone(shape.points), way[0] * step, way[1] * step));
    } else if (["Delete", "Backspace"].includes(event.key) && shape.kind !== "ground" && shape.points.length > shape.least) {
      event.preventDefault();
      this.change(() => shape.points.splice(Number(corner), 1));
    }
    return undefined;
  }

  /** Return what differs from before: the rest of the config stays as its writer left it. */
  changes() {
    return Object.fromEntries(Object.entries(this.shapes).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(this.before[key])));
  }

  isDirty() {
    return Object.keys(this.changes()).length > 0;
  }

  async save() {
    if (!this.isDirty()) return this.finish();
    const orphan = Object.entries(this.camera.alarms).find(([, { region }]) => region && region in this.before.regions && !(region in this.shapes.regions));
    if (orphan) return toast(`The alarm ${orphan[0]} watches ${orphan[1].region}: keep a region of that name, or change the alarm first.`, true);
    const current = drawn(this.camera);
    const isOther = Object.keys(this.changes()).some((key) => JSON.stringify(current[key]) !== JSON.stringify(this.before[key]));
    if (isOther && !confirm("Somebody else has changed this meanwhile. Save over it?")) return undefined;
    this.saveButton.disabled = true;
    try {
      await send("PUT", `/api/cameras/${this.camera.id}/shapes`, this.changes());
      toast("Saved. People are counted by it from now on.");
      this.finish();
    } catch (error) {
      toast(error.message, true);
      this.saveButton.disabled = false;
    }
    return undefined;
  }

  cancel() {
    if (this.isDirty() && !confirm("Leave without saving what you changed?")) return;
    this.finish();
  }

  finish() {
    document.removeEventListener("keydown", this.keys);
    this.resized?.disconnect();
    this.layer.remove();
    this.onEnd();
  }
}

/** Return what of a camera can be drawn. */
function drawn({ regions, excluded, lines, ground }) {
  return { regions, excluded: excluded || [], lines, ground: ground || null };
}

function inside(share) {
  return Math.round(Math.min(Math.max(share, 0), 1) * 10000) / 10000;
}

/** Return the arrow to the side that is in, of a line between two places of the page. */
function arrow([x1, y1], [x2, y2]) {
  const long = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [inX, inY] = [-(y2 - y1) / long, (x2 - x1) / long];
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const tip = [[x + inX * 44, y + inY * 44], [x + inX * 28 - inY * 9, y + inY * 28 + inX * 9], [x + inX * 28 + inY * 9, y + inY * 28 - inX * 9]];
  return [
    svg("line", { x1: x, y1: y, x2: x + inX * 30, y2: y + inY * 30, stroke: "#fff", "stroke-width": 3 }),
    svg("polygon", { points: tip.map((one) => one.join(",")).join(" "), fill: "#fff", stroke: "#0d0f12", "stroke-width": 1.5 }),
  ];
}
