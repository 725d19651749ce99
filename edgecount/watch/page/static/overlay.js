// What is drawn over a picture, as edgecount.drawing draws it: the same colours, the same marks.

import { h, people, whole } from "/static/dom.js";
import { inOrder } from "/static/order.js";

export const REGIONS = ["#3cc8ff", "#5ae68c", "#be96ff", "#ebebeb", "#14bed2", "#e6ffa0"];
export const DOT = "#96f5ff";
const INK = "rgb(13 15 18 / 90%)";
// Inferno without its dark third, which over a photograph reads as shadow.
const INFERNO = [[120, 28, 109], [136, 34, 106], [152, 39, 102], [168, 46, 95], [183, 53, 87], [198, 61, 77], [211, 71, 67], [223, 83, 55], [233, 97, 43], [241, 113, 31], [247, 130, 18], [250, 148, 7], [252, 166, 12], [251, 186, 31], [248, 205, 55], [244, 225, 86], [242, 242, 125], [252, 255, 164]];

/** Return red, green and blue of a share of the scale, 0 to 1. */
export function inferno(share) {
  const at = Math.min(Math.max(share, 0), 1) * (INFERNO.length - 1);
  const low = Math.min(Math.floor(at), INFERNO.length - 2);
  return INFERNO[low].map((value, i) => Math.round(value + (at - low) * (INFERNO[low + 1][i] - value)));
}

/** Return the bytes of a grid that was sent as base64. */
export function unpack(grid) {
  return Uint8Array.from(atob(grid.data), (letter) => letter.charCodeAt(0));
}

/** Draw the heat of a density grid over a picture. */
export function drawHeat(context, density, width, height) {
  const levels = unpack(density);
  const small = h("canvas", { width: density.columns, height: density.rows });
  const paint = small.getContext("2d");
  const pixels = paint.createImageData(density.columns, density.rows);
  levels.forEach((level, i) => {
    const share = level / 255;
    const painted = Math.max(0, (share - 0.05) / 0.95);
    pixels.data.set([...inferno(share), 255 * 0.6 * painted ** 0.6], 4 * i);
  });
  paint.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, density.covers[0] * width, density.covers[1] * height);
}

/** Draw heads as dots, smaller where they stand close. */
export function drawPoints(context, points, width, height, unit) {
  const radii = spacing(points, width, height);
  for (const [paint, edge] of [[INK, 0.9 * unit], [DOT, 0]]) {
    context.fillStyle = paint;
    context.beginPath();
    for (let i = 0; i < radii.length; i++) {
      const [x, y] = [points[2 * i] * width, points[2 * i + 1] * height];
      const radius = Math.max(0.45 * radii[i], 1.7 * unit) + edge;
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 7);
    }
    context.fill();
  }
}

/** Outline the heads of a detector. */
export function drawBoxes(context, boxes, width, height, unit) {
  const path = new Path2D();
  for (let i = 0; i < boxes.length; i += 4) {
    const [left, top] = [boxes[i] * width, boxes[i + 1] * height];
    path.rect(left, top, boxes[i + 2] * width - left, boxes[i + 3] * height - top);
  }
  const line = Math.max(1.5 * unit, Math.hypot(width, height) / 1200);
  context.lineJoin = "miter";
  for (const [paint, thick] of [[INK, line + 2 * unit], [DOT, line]]) {
    context.strokeStyle = paint;
    context.lineWidth = thick;
    context.stroke(path);
  }
}

/** Return a radius for each head by how many others are around it. */
function spacing(points, width, height) {
  const diagonal = Math.hypot(width, height);
  const side = diagonal / 60;
  const [columns, rows] = [Math.ceil(width / side) + 2, Math.ceil(height / side) + 2];
  const heads = new Uint16Array(columns * rows);
  const places = [];
  for (let i = 0; i < points.length; i += 2) {
    const place = (1 + Math.floor((points[i + 1] * height) / side)) * columns + 1 + Math.floor((points[i] * width) / side);
    places.push(Math.min(place, heads.length - columns - 2));
    heads[places.at(-1)] += 1;
  }
  return places.map((place) => {
    let around = 0;
    for (const row of [-columns, 0, columns]) for (const step of [-1, 0, 1]) around += heads[place + row + step] || 0;
    return Math.min(Math.max((0.27 * side) / Math.sqrt(around / 9), 1.5), diagonal / 220);
  });
}

/** Draw regions and lines with their labels. */
export function drawShapes(context, camera, reading, width, height, unit) {
  const taken = [];
  inOrder(camera, "regions").forEach(([name, region], i) => {
    const paint = REGIONS[i % REGIONS.length];
    for (const outline of [region.polygon, ...(region.excluded || [])]) outlineOf(context, outline, paint, width, height, unit, outline !== region.polygon);
    const [x, y] = region.polygon.reduce((best, corner) => (corner[0] + 2 * corner[1] < best[0] + 2 * best[1] ? corner : best));
    label(context, [[name, false], [shown(reading?.regions?.[name]), true]], x * width + 3 * unit, y * height + 3 * unit, paint, unit, taken, width, height);
  });
  for (const outline of camera.excluded || []) outlineOf(context, outline, "#9a9a9a", width, height, unit, true);
  for (const [name, line] of inOrder(camera, "lines")) {
    const { middle, inwards } = drawLine(context, line, width, height, unit);
    const crossed = reading?.lines?.[name];
    const parts = crossed ? [[name, false], ["in", false], [whole(crossed.in), true], ["out", false], [whole(crossed.out), true]] : [[name, false]];
    label(context, parts, middle[0] - inwards[0] * 14 * unit, middle[1] - inwards[1] * 40 * unit, "#ffffff", unit, taken, width, height, inwards[0] >= 0);
  }
}

function shown(region) {
  return region ? people(region.smooth ?? region.count) : "";
}

function outlineOf(context, outline, paint, width, height, unit, dashed = false) {
  const path = new Path2D();
  outline.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](x * width, y * height));
  path.closePath();
  context.lineJoin = "round";
  context.setLineDash(dashed ? [6 * unit, 5 * unit] : []);
  for (const [stroke, thick] of [[INK, 4.5], [paint, 2.2]]) {
    context.strokeStyle = stroke;
    context.lineWidth = thick * unit;
    context.stroke(path);
  }
  context.setLineDash([]);
}

/** Draw a line, and the arrow to the side that is in. */
function drawLine(context, { start, end }, width, height, unit) {
  const [from, to] = [[start[0] * width, start[1] * height], [end[0] * width, end[1] * height]];
  const along = [to[0] - from[0], to[1] - from[1]];
  const long = Math.hypot(...along) || 1;
  const inwards = [-along[1] / long, along[0] / long];
  const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const at = (way, side = 0) => [middle[0] + inwards[0] * way * unit + (along[0] / long) * side * unit, middle[1] + inwards[1] * way * unit + (along[1] / long) * side * unit];
  const shaft = new Path2D();
  shaft.moveTo(...from);
  shaft.lineTo(...to);
  shaft.moveTo(...middle);
  shaft.lineTo(...at(26));
  const head = new Path2D();
  head.moveTo(...at(44));
  head.lineTo(...at(26, 10));
  head.lineTo(...at(26, -10));
  head.closePath();
  context.lineCap = context.lineJoin = "round";
  for (const [paint, thick] of [[INK, 5.5], ["#ffffff", 2.6]]) {
    context.strokeStyle = context.fillStyle = paint;
    context.lineWidth = thick * unit;
    context.stroke(shaft);
    if (paint === INK) context.stroke(head);
    context.fill(head);
  }
  return { middle, inwards };
}

/** Write words and numbers on a dark plate, below others that are there. */
function label(context, parts, x, y, edge, unit, taken, width, height, toLeft = false) {
  const size = 13 * unit;
  const pad = 6 * unit;
  const font = (bold) => `${bold ? 600 : 400} ${size}px system-ui, sans-serif`;
  const runs = parts.filter(([text]) => text !== "").map(([text, bold]) => {
    context.font = font(bold);
    const shown = text.length > 24 ? `${text.slice(0, 23)}…` : text;
    return { shown, bold, wide: context.measureText(shown).width };
  });
  const wide = runs.reduce((sum, run) => sum + run.wide + pad, 0) + 2 * pad;
  const tall = size + 1.4 * pad;
  let left = Math.min(Math.max(toLeft ? x - wide : x, 2), width - wide - 2);
  let top = Math.min(Math.max(y, 2), height - tall - 2);
  for (const other of taken) {
    if (left < other[0] + other[2] && left + wide > other[0] && top < other[1] + tall && top + tall > other[1]) top = other[1] + tall + 2;
  }
  taken.push([left, top, wide]);
  context.fillStyle = "rgb(13 15 18 / 78%)";
  context.fillRect(left, top, wide, tall);
  context.fillStyle = edge;
  context.fillRect(left, top, 3 * unit, tall);
  context.textBaseline = "middle";
  left += 1.5 * pad;
  for (const run of runs) {
    context.font = font(run.bold);
    context.fillStyle = run.bold ? "#ffffff" : "#c9ced4";
    context.fillText(run.shown, left, top + tall / 2 + unit / 2);
    left += run.wide + pad;
  }
}
