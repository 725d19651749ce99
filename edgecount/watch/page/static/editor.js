// Drawing regions, lines and the ground with mouse, finger and keyboard.

import { fill, h, svg, toast } from "/static/dom.js";
import { inOrder, same } from "/static/order.js";
import { REGIONS } from "/static/overlay.js";

const STEP = 0.005; // of the picture, that an arrow key moves a corner
const MOST = 100; // steps that can be taken back
const PATIENCE = 60000; // ms that a save may take

export class Editor {
  constructor(camera, stage, onEnd) {
    Object.assign(this, { camera, stage, onEnd, past: [], chosen: null });
    this.begin({ shapes: drawn(camera), version: camera.shapes_version });
    this.layer = svg("svg", { role: "group", "aria-label": "Corners on the picture" });
    this.list = h("div.stack");
    this.fields = h("div.stack");
    this.hint = h("p.small", { role: "status" });
    this.question = h("div.stack", { role: "alert" });
    this.undoButton = h("button", { type: "button", disabled: true, onclick: () => this.undo() }, "Undo");
    this.saveButton = h("button.key", { type: "button", onclick: () => this.save() }, "Save");
    const add = (text, kind) => h("button", { type: "button", onclick: () => this.add(kind) }, text);
    this.element = h("section.panel", { "aria-labelledby": "editor" },
      h("header", {}, h("h2", { id: "editor", tabindex: -1 }, "Regions, lines, ground")),
      h("div.stack", {}, this.list, h("div.row", {}, add("+ Region", "regions"), add("+ Line", "lines"), add("+ Left out", "excluded"), add("+ Ground", "ground")), this.fields, this.hint, this.question,
        h("div.row", {}, this.saveButton, this.undoButton, h("button", { type: "button", onclick: () => this.cancel() }, "Cancel"))));
    this.keys = (event) => this.onKey(event);
    this.layer.addEventListener("pointerdown", (event) => this.isSaving && event.stopPropagation(), true);
  }

  /** Begin with shapes as they are saved: what is changed from now on is a change to these. */
  begin({ shapes, version }) {
    Object.assign(this, { before: shapes, version, shapes: structuredClone(shapes) });
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
      ...regions.map(([name, region], i) => ({ key: `regions:${name}`, kind: "regions", name, title: name, points: region.polygon, colour: REGIONS[i % REGIONS.length], closed: true, least: 3 })),
      ...lines.map(([name, line]) => ({ key: `lines:${name}`, kind: "lines", name, title: `→ ${name}`, points: [line.start, line.end], colour: "#ffffff", closed: false, least: 2 })),
      ...excluded.map((points, i) => ({ key: `excluded:${i}`, kind: "excluded", name: i, title: `left out ${i + 1}`, points, colour: "#b0b0b0", closed: true, least: 3 })),
      ...(ground ? [{ key: "ground:", kind: "ground", name: "", title: "ground", points: ground.corners, colour: "#ffb347", closed: true, least: 4 }] : []),
    ];
  }

  /** Return the chosen shape. */
  find() {
    return this.all().find(({ key }) => key === this.chosen);
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
    this.choose((this.find() ?? this.all()[0])?.key ?? null);
    // What is disabled under the focus, or gone, would lose it.
    if (focused === this.undoButton ? focused.disabled : !focused.isConnected && document.activeElement === document.body) this.saveButton.focus();
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
      this.shapes[kind].push([name, kind === "regions" ? { polygon: around } : { start: [0.5, 0.8], end: [0.5, 0.4] }]);
      key = `${kind}:${name}`;
    }
    this.choose(key);
    this.layer.scrollIntoView({ block: "nearest" });
    this.layer.querySelector("[data-corner]").focus({ preventScroll: true });
  }

  freeName(kind, word) {
    let number = 1;
    while (has(this.shapes[kind], `${word} ${number}`)) number += 1;
    return `${word} ${number}`;
  }

  remove({ kind, name }) {
    this.note();
    if (kind === "ground") this.shapes.ground = null;
    else if (kind === "excluded") this.shapes.excluded.splice(name, 1);
    else this.shapes[kind] = this.shapes[kind].filter(([one]) => one !== name);
    this.choose(this.all()[0]?.key ?? null);
    this.undoButton.focus();
  }

  /** Give the chosen shape the name that was typed; list and fields stay, under the pointer that ended the typing. */
  rename(input) {
    const { kind, name } = this.find();
    const to = input.value.trim() || name;
    if (to !== name && has(this.shapes[kind], to)) toast(`There is already one called ${to}.`, true);
    else if (to !== name) {
      this.note();
      this.shapes[kind].find(([one]) => one === name)[0] = to;
      this.chosen = `${kind}:${to}`;
    }
    input.value = input.defaultValue = this.find().name;
    this.fillList();
    this.draw();
  }

  /** Take what is still being typed: leaving a field is what changes the shape. */
  commit() {
    if (this.fields.contains(document.activeElement)) document.activeElement.blur();
  }

  fillList() {
    const shapes = this.all();
    if (this.list.children.length !== shapes.length) {
      fill(this.list, shapes.map((_, i) => h("div.shape", {}, h("i.swatch", { "aria-hidden": "true" }),
        h("button.name", { type: "button", onclick: () => this.choose(this.all()[i].key) }),
        h("button", { type: "button", onclick: () => this.remove(this.all()[i]) }, "Delete"))));
    }
    shapes.forEach(({ key, title, colour }, i) => {
      const [swatch, name, remove] = this.list.children[i].children;
      this.list.children[i].setAttribute("aria-current", `${key === this.chosen}`);
      swatch.style.backgroundColor = colour;
      name.textContent = title;
      remove.setAttribute("aria-label", `Delete ${title}`);
    });
  }

  choose(key) {
    this.commit();
    this.chosen = key;
    const shape = this.find();
    this.fillList();
    fill(this.fields, shape ? this.fieldsOf(shape) : []);
    this.hint.textContent = shape ? (shape.kind === "lines" ? "Drag the ends. Who crosses towards the arrow goes in." : shape.kind === "ground" ? "Put the corners on a rectangle whose sides you know: paving, a crossing, a pitch." : "Drag the corners; drag a small one for another corner. Arrow keys move, Insert or + adds a corner, Delete takes one away.") : "Add a region to count people in it, or a line to count who crosses it.";
    this.draw();
  }

  fieldsOf(shape) {
    const field = (text, value, properties, onChange) => {
      const input = h("input", { ...properties, onchange: () => onChange(input) });
      input.defaultValue = value; // as it is saved, so that what is being typed is known
      return h("label.small", {}, text, input);
    };
    if (shape.kind === "ground") {
      return ["width", "depth"].map((side) => field(side === "width" ? "Metres from corner 1 to 2" : "Metres from corner 2 to 3", this.shapes.ground[side], { type: "number", min: "0.1", step: "any" }, (input) => {
        input.defaultValue = input.value;
        this.change(() => { this.shapes.ground[side] = Number(input.value); });
      }));
    }
    if (shape.kind === "excluded") return [];
    const name = field("Name", shape.name, { type: "text", maxlength: 60 }, (input) => this.rename(input));
    if (shape.kind === "regions") return [name];
    return [name, h("button", { type: "button", onclick: () => this.change(() => { const [, line] = this.shapes.lines.find(([one]) => one === this.find().name); [line.start, line.end] = [line.end, line.start]; }) }, "Turn the arrow round")];
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
      body.addEventListener("pointerdown", (event) => (isChosen ? this.drag(event, (dx, dy, start) => this.shift(start, dx, dy)) : this.choose(shape.key)));
      this.layer.append(svg(tag, { points: corners, class: "casing" }), body);
      if (shape.kind === "lines") this.layer.append(...arrow(at(shape.points[0]), at(shape.points[1])));
      if (isChosen) this.handles(shape, at);
    }
    if (focused) this.focusCorner(Number(focused));
  }

  /** Move the focus to a corner; if it is gone, to the last one. */
  focusCorner(corner) {
    const handles = this.layer.querySelectorAll("[data-corner]");
    handles[Math.min(corner, handles.length - 1)]?.focus();
  }

  /** Add a corner in the middle of a side. */
  insert(points, corner) {
    const next = points[(corner + 1) % points.length];
    points.splice(corner + 1, 0, points[corner].map((share, axis) => inside((share + next[axis]) / 2)));
  }

  handles(shape, at) {
    const { points } = shape;
    if (shape.closed && shape.kind !== "ground") {
      points.forEach((point, i) => {
        const next = points[(i + 1) % points.length];
        const [x, y] = at([(point[0] + next[0]) / 2, (point[1] + next[1]) / 2]);
        const handle = svg("circle", { cx: x, cy: y, r: 6, class: "handle mid", fill: shape.colour });
        handle.addEventListener("pointerdown", (event) => {
          if (event.button) return;
          this.commit();
          this.note();
          this.insert(points, i);
          this.drag(event, (dx, dy, start) => this.move(i + 1, start, dx, dy), false);
        });
        this.layer.append(handle);
      });
    }
    points.forEach((point, i) => {
      const [x, y] = at(point);
      const label = `${shape.title}, corner ${i + 1} of ${points.length}, ${Math.round(100 * point[0])}% across, ${Math.round(100 * point[1])}% down`;
      const reach = svg("circle", { cx: x, cy: y, r: 22, class: "touch" });
      const handle = svg("circle", { cx: x, cy: y, r: 11, class: "handle", fill: shape.colour, tabindex: 0, role: "button", "aria-label": label, "data-corner": `${i}` });
      for (const one of [reach, handle]) one.addEventListener("pointerdown", (event) => this.drag(event, (dx, dy, start) => this.move(i, start, dx, dy)));
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
    this.commit();
    let isNoted = !isNew;
    const { clientWidth: width, clientHeight: height } = this.stage.canvas;
    const start = structuredClone(this.find().points);
    const [x, y] = [event.clientX, event.clientY];
    // The handle is drawn anew at each move, so that the layer has to follow the pointer.
    this.layer.setPointerCapture(event.pointerId);
    const move = (next) => {
      if (this.isSaving) return;
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

  move(corner, start, dx, dy) {
    const point = this.find().points[corner];
    [point[0], point[1]] = [inside(start[corner][0] + dx), inside(start[corner][1] + dy)];
  }

  shift(start, dx, dy) {
    const limit = (way, axis) => Math.min(Math.max(way, -Math.min(...start.map((p) => p[axis]))), 1 - Math.max(...start.map((p) => p[axis])));
    const [right, down] = [limit(dx, 0), limit(dy, 1)];
    this.find().points.forEach((point, i) => { [point[0], point[1]] = [inside(start[i][0] + right), inside(start[i][1] + down)]; });
  }

  onKey(event) {
    if (this.isSaving) return undefined;
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
      this.change(() => this.move(Number(corner), structuredClone(shape.points), way[0] * step, way[1] * step));
    } else if (["Delete", "Backspace"].includes(event.key) && shape.kind !== "ground" && shape.points.length > shape.least) {
      event.preventDefault();
      this.change(() => shape.points.splice(Number(corner), 1));
    } else if (["Insert", "+"].includes(event.key) && shape.kind !== "ground" && shape.closed) {
      event.preventDefault();
      this.change(() => this.insert(shape.points, Number(corner)));
      this.focusCorner(Number(corner) + 1);
    }
    return undefined;
  }

  /** Return what differs from before: the rest of the config stays as its writer left it. */
  changes() {
    return Object.fromEntries(Object.entries(this.shapes).filter(([key, value]) => !same(value, this.before[key])));
  }

  isDirty() {
    const isTyping = [...this.fields.querySelectorAll("input")].some((one) => one.value !== one.defaultValue);
    return isTyping || Object.keys(this.changes()).length > 0;
  }

  /** Save what differs over the shapes that it was changed from, or over others that were seen. */
  async save(over = { shapes: this.before, version: this.version }) {
    this.commit();
    const changes = this.changes();
    if (!Object.keys(changes).length) return this.finish();
    const orphan = inOrder(this.camera, "alarms").find(([, { region }]) => has(this.before.regions, region) && !has(this.shapes.regions, region));
    if (orphan) return toast(`The alarm ${orphan[0]} watches ${orphan[1].region}: keep a region of that name, or change the alarm first.`, true);
    this.hold(true);
    fill(this.question);
    try {
      const theirs = await this.put(changes, over);
      if (!theirs) {
        toast("Saved. People are counted by it from now on.");
        return this.finish();
      }
      this.ask(theirs);
    } catch (error) {
      toast(error.message, true);
    }
    return this.hold(false);
  }

  /** Send changes; returns the shapes that somebody else has saved meanwhile, if they differ where these do. */
  async put(changes, over) {
    const headers = { "Content-Type": "application/json", "If-Match": `"${over.version}"` };
    const late = new AbortController(); // AbortSignal.timeout is younger than the oldest browsers of the page
    setTimeout(() => late.abort(new Error("the service has not answered")), PATIENCE);
    const response = await fetch(`/api/cameras/${this.camera.id}/shapes`, { method: "PUT", headers, body: JSON.stringify(sent(changes)), signal: late.signal });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return null;
    if (response.status !== 412) throw new Error(answer.error || `the service answered ${response.status}`);
    const theirs = { shapes: drawn(answer.shapes), version: answer.shapes_version };
    const isOther = Object.entries(changes).some(([key, value]) => ![over.shapes[key], value].some((one) => same(one, theirs.shapes[key])));
    return isOther ? theirs : this.put(changes, theirs);
  }

  /** Ask what is to become of what somebody else has saved. */
  ask(theirs) {
    const button = (text, onclick) => h("button", { type: "button", onclick }, text);
    fill(this.question, h("p.small", {}, "Somebody else has changed this meanwhile."), h("div.row", {}, button("Save over it", () => this.save(theirs)), button("Take theirs", () => {
      fill(this.question);
      this.note();
      this.begin(theirs);
      this.choose(this.all()[0]?.key ?? null);
      this.saveButton.focus();
    })));
  }

  /** Let nothing be drawn while a save is under way, for it would not be saved. */
  hold(isSaving) {
    this.isSaving = this.element.inert = isSaving;
    if (!isSaving) this.saveButton.focus();
  }

  cancel() {
    this.commit();
    if (this.isDirty() && !confirm("Leave without saving what you changed?")) return;
    this.finish();
  }

  /** End, once: a save may be answered after the page has been left. */
  finish() {
    if (this.isEnded) return;
    this.isEnded = true;
    document.removeEventListener("keydown", this.keys);
    this.resized?.disconnect();
    this.layer.remove();
    this.onEnd();
  }
}

/** Return what of a camera can be drawn; regions and lines as pairs of name and shape. */
function drawn(camera) {
  return { regions: inOrder(camera, "regions"), excluded: camera.excluded || [], lines: inOrder(camera, "lines"), ground: camera.ground || null };
}

function has(pairs, name) {
  return pairs.some(([one]) => one === name);
}

/** Return changes as the service takes them: regions and lines by name, and the order of these. */
function sent(changes) {
  const named = Object.entries(changes).filter(([kind]) => kind === "regions" || kind === "lines");
  const by = (read) => Object.fromEntries(named.map(([kind, pairs]) => [kind, read(pairs)]));
  return { ...changes, ...by(Object.fromEntries), order: by((pairs) => pairs.map(([name]) => name)) };
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
