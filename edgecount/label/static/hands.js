// Mouse, pen and fingers on the board.

const STILL = { mouse: 4, pen: 6, touch: 9 }; // px within which a press is a click
const REACH = { mouse: 9, pen: 11, touch: 20 }; // px around a point that count as on it

/**
 * Turns what pointers do on the board into acts: add(x, y), select(i), remove(i), move(i, x, y, isLast),
 * erase(x1, y1, x2, y2), all in pixels of the picture. `mode()` says erase or mark.
 */
export class Hands {
  constructor(board, acts) {
    Object.assign(this, { board, acts, pointers: new Map(), deed: null, isSpace: false });
    const on = (name, act, options) => board.canvas.addEventListener(name, act, options);
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.cancel(event));
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => this.wheel(event), { passive: false });
  }

  place({ clientX, clientY }) {
    const box = this.board.canvas.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  hit(event) {
    return this.board.hit(...this.place(event), Math.max(REACH[event.pointerType] ?? 9, this.board.radius + 2));
  }

  down(event) {
    if (!this.acts.isReady()) return;
    this.board.canvas.focus({ preventScroll: true });
    this.board.canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    const at = this.place(event);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size > 1) {
      this.undoDeed();
      this.deed = { kind: "pinch" };
      return;
    }
    const hit = this.hit(event);
    const isPan = event.button !== 0 || this.isSpace;
    const kind = isPan ? "pan" : event.shiftKey || this.acts.mode() === "erase" ? "erase" : hit >= 0 ? "point" : "ground";
    this.deed = { kind, hit, from: at, isMoved: false, button: event.button };
    if (kind === "point") this.deed.start = this.board.points[hit];
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.board.canvas.classList.toggle("point", this.acts.mode() !== "erase" && this.hit(event) >= 0);
      return;
    }
    const at = this.place(event);
    if (this.deed?.kind === "pinch") {
      this.pinch(event.pointerId, at);
      return;
    }
    this.pointers.set(event.pointerId, at);
    const { deed } = this;
    if (!deed) return;
    if (!deed.isMoved && Math.hypot(at[0] - deed.from[0], at[1] - deed.from[1]) <= (STILL[event.pointerType] ?? 4)) return;
    const first = !deed.isMoved;
    deed.isMoved = true;
    if (deed.kind === "erase") {
      this.board.rectangle = [...deed.from, ...at];
      this.board.draw();
    } else if (deed.kind === "point") {
      this.acts.move(deed.hit, ...this.drag(deed, at), false);
    } else {
      const from = first ? deed.from : before;
      this.board.move(at[0] - from[0], at[1] - from[1]);
    }
  }

  /** Return where a dragged point is: as far from where it was as the pointer is from where it began. */
  drag(deed, at) {
    const { scale } = this.board.view;
    return [deed.start[0] + (at[0] - deed.from[0]) / scale, deed.start[1] + (at[1] - deed.from[1]) / scale];
  }

  pinch(id, at) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    const before = this.pointers.get(id);
    this.pointers.set(id, at);
    if (!other) return;
    const far = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    const middle = (a) => [(a[0] + other[0]) / 2, (a[1] + other[1]) / 2];
    const [mx, my] = middle(at);
    const [bx, by] = middle(before);
    this.board.move(mx - bx, my - by);
    if (far(before) > 1) this.board.zoom(far(at) / far(before), mx, my);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const { deed } = this;
    if (this.pointers.size) return; // a pinch ends with its last finger
    this.deed = null;
    if (!deed || deed.kind === "pinch") return;
    const at = this.place(event);
    if (deed.kind === "erase") this.endErase(deed, at);
    else if (deed.isMoved && deed.kind === "point") this.acts.move(deed.hit, ...this.drag(deed, at), true);
    else if (!deed.isMoved) this.click(deed, at);
  }

  endErase(deed, at) {
    this.board.rectangle = null;
    this.board.draw();
    if (deed.isMoved) this.acts.erase(...this.board.toPicture(...deed.from), ...this.board.toPicture(...at));
    else if (deed.hit >= 0) this.acts.remove(deed.hit);
  }

  click({ kind, hit, button }, at) {
    if (kind === "pan") {
      if (button === 2 && hit >= 0) this.acts.remove(hit);
    } else if (hit < 0) this.acts.add(...this.board.toPicture(...at));
    else if (this.board.selected === hit) this.acts.remove(hit);
    else this.acts.select(hit);
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.undoDeed();
    if (!this.pointers.size) this.deed = null;
  }

  /** Forget what is in hand, as when another picture comes: it was meant for the one before. */
  drop() {
    this.pointers.clear();
    this.deed = null;
    this.board.rectangle = null;
  }

  /** Take back what is half done, as when a second finger comes. */
  undoDeed() {
    this.board.rectangle = null;
    if (this.deed?.kind === "point" && this.deed.isMoved) this.acts.move(this.deed.hit, ...this.deed.start, false);
    this.board.draw();
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const strength = event.ctrlKey ? 0.01 : 0.0016; // a pinch on a touchpad comes with ctrlKey
    this.board.zoom(Math.exp(-event.deltaY * lines * strength), ...this.place(event));
  }

  /** Pan by the left button while the space bar is held. */
  space(isDown) {
    this.isSpace = isDown;
    this.board.canvas.classList.toggle("hand", isDown);
  }
}
