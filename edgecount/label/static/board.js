// The canvas with the picture and its points: zoom, tiles, drawing.

const SIZES = [3.5, 5.5, 8.5]; // px of the rings' radius on the screen
const MOST_TILES = 80;
const AT_ONCE = 4; // tiles that are fetched at the same time
const MARKED = "#35e0ff";
const PROPOSED = "#ffd23f";
const CASING = "rgb(0 0 0 / 75%)";

export class Board {
  constructor(canvas) {
    Object.assign(this, { canvas, picture: null, image: null, points: [], isProposed: false, selected: -1, rectangle: null });
    this.view = { scale: 1, x: 0, y: 0 };
    this.size = Number(localStorage.getItem("point size") ?? (Math.min(innerWidth, innerHeight) < 500 ? 0 : 1)) % SIZES.length;
    this.tiles = new Map();
    this.fetching = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  get radius() {
    return SIZES[this.size];
  }

  nextSize() {
    this.size = (this.size + 1) % SIZES.length;
    localStorage.setItem("point size", this.size);
    this.draw();
  }

  /** Show another picture: {name, width, height, view, tile}; null: none. */
  async show(picture) {
    this.picture = picture;
    this.image = null;
    this.tiles.clear();
    this.fit();
    if (!picture) return;
    const image = new Image();
    image.src = `/api/view.jpg?${new URLSearchParams({ name: picture.name })}`;
    await image.decode();
    if (this.picture !== picture) return;
    this.image = image;
    this.draw();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    const before = { wide: this.wide, tall: this.tall };
    const isFitted = this.isFitted;
    Object.assign(this, { wide: clientWidth, tall: clientHeight });
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    if (isFitted || !before.wide) this.fit();
    else this.move((this.wide - before.wide) / 2, (this.tall - before.tall) / 2);
  }

  fit() {
    if (!this.picture || !this.wide) return this.draw();
    const { width, height } = this.picture;
    const scale = Math.min(this.wide / width, this.tall / height);
    this.view = { scale, x: (this.wide - width * scale) / 2, y: (this.tall - height * scale) / 2 };
    this.isFitted = true;
    this.fitScale = scale;
    this.draw();
  }

  /** Zoom by a factor; the place (x, y) of the canvas stays where it is. */
  zoom(factor, x = this.wide / 2, y = this.tall / 2) {
    if (!this.picture) return;
    const { view } = this;
    const scale = Math.min(Math.max(view.scale * factor, this.fitScale * 0.5), Math.max(this.fitScale * 4, 16));
    const [px, py] = this.toPicture(x, y);
    this.view = { scale, x: x - px * scale, y: y - py * scale };
    this.isFitted = false;
    this.bound();
  }

  move(dx, dy) {
    this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
    this.isFitted = false;
    this.bound();
  }

  /** Keep some of the picture in sight. */
  bound() {
    if (!this.picture) return;
    const { view, picture, wide, tall } = this;
    const keep = Math.min(wide, tall) / 4;
    view.x = Math.min(Math.max(view.x, keep - picture.width * view.scale), wide - keep);
    view.y = Math.min(Math.max(view.y, keep - picture.height * view.scale), tall - keep);
    this.draw();
  }

  /** Bring a place of the picture into sight. */
  reveal([x, y]) {
    const [sx, sy] = this.toScreen(x, y);
    if (sx < 20 || sy < 20 || sx > this.wide - 20 || sy > this.tall - 20) this.move(this.wide / 2 - sx, this.tall / 2 - sy);
  }

  toPicture(x, y) {
    return [(x - this.view.x) / this.view.scale, (y - this.view.y) / this.view.scale];
  }

  toScreen(x, y) {
    return [x * this.view.scale + this.view.x, y * this.view.scale + this.view.y];
  }

  /** Return the point next to a place of the canvas, within a distance in px of the screen; -1: none. */
  hit(x, y, within) {
    let best = -1;
    let least = within * within;
    this.points.forEach(([px, py], i) => {
      const [sx, sy] = this.toScreen(px, py);
      const far = (sx - x) ** 2 + (sy - y) ** 2;
      if (far <= least) [best, least] = [i, far];
    });
    return best;
  }

  draw() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.paint();
    });
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.picture) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintPicture(context, ratio);
    this.paintPoints(context);
    if (this.rectangle) this.paintRectangle(context);
  }

  paintPicture(context, ratio) {
    const { view, picture, image } = this;
    context.imageSmoothingEnabled = view.scale < 4;
    context.imageSmoothingQuality = "high";
    if (!image) {
      context.fillStyle = "#22262d";
      context.fillRect(view.x, view.y, picture.width * view.scale, picture.height * view.scale);
      return;
    }
    context.drawImage(image, view.x, view.y, picture.width * view.scale, picture.height * view.scale);
    if (image.naturalWidth < picture.width && view.scale * ratio > (1.05 * image.naturalWidth) / picture.width) this.paintTiles(context);
  }

  /** Draw the picture's own pixels where it was shrunk to be sent, and fetch what is missing. */
  paintTiles(context) {
    const { view, picture } = this;
    const side = picture.tile;
    const [left, top] = this.toPicture(0, 0);
    const [right, bottom] = this.toPicture(this.wide, this.tall);
    const last = [Math.ceil(picture.width / side) - 1, Math.ceil(picture.height / side) - 1];
    for (let row = Math.max(0, Math.floor(top / side)); row <= Math.min(last[1], Math.floor(bottom / side)); row++) {
      for (let column = Math.max(0, Math.floor(left / side)); column <= Math.min(last[0], Math.floor(right / side)); column++) {
        const tile = this.tiles.get(`${column},${row}`);
        if (tile) context.drawImage(tile, column * side * view.scale + view.x, row * side * view.scale + view.y, tile.naturalWidth * view.scale, tile.naturalHeight * view.scale);
        else if (tile === undefined) this.fetch(column, row);
      }
    }
  }

  async fetch(column, row) {
    if (this.fetching >= AT_ONCE) return;
    const { picture } = this;
    const key = `${column},${row}`;
    this.tiles.set(key, null);
    this.fetching += 1;
    const tile = new Image();
    tile.src = `/api/tile.jpg?${new URLSearchParams({ name: picture.name, column, row })}`;
    try {
      await tile.decode();
      if (this.picture === picture) this.tiles.set(key, tile);
      if (this.tiles.size > MOST_TILES) this.tiles.delete(this.tiles.keys().next().value);
    } catch {
      // The shrunk picture stays to be seen there.
    } finally {
      this.fetching -= 1;
      this.draw();
    }
  }

  paintPoints(context) {
    const { radius, wide, tall } = this;
    const places = [];
    this.points.forEach(([px, py], i) => {
      const [x, y] = this.toScreen(px, py);
      if (x > -radius && y > -radius && x < wide + radius && y < tall + radius) places.push([x, y, i]);
    });
    // Dark, bright, dark: seen on any ground. What is only proposed has no dot in its middle.
    const ring = (r, colour, width) => {
      context.beginPath();
      for (const [x, y] of places) {
        context.moveTo(x + r, y);
        context.arc(x, y, r, 0, 2 * Math.PI);
      }
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    };
    ring(radius, CASING, 4);
    ring(radius, this.isProposed ? PROPOSED : MARKED, 1.8);
    if (!this.isProposed) {
      ring(0.6, CASING, 3.4);
      ring(0.4, "#fff", 1.6);
    }
    const chosen = places.find(([, , i]) => i === this.selected);
    if (chosen) this.paintSelected(context, chosen);
  }

  paintSelected(context, [x, y]) {
    for (const [colour, width] of [["#000", 6], ["#fff", 3]]) {
      context.beginPath();
      context.arc(x, y, this.radius + 5, 0, 2 * Math.PI);
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  paintRectangle(context) {
    const [x1, y1, x2, y2] = this.rectangle;
    context.fillStyle = "rgb(255 90 40 / 20%)";
    context.fillRect(x1, y1, x2 - x1, y2 - y1);
    for (const [colour, width] of [["#000", 3], ["#ff7a33", 1.5]]) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
  }
}
