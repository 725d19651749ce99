// The ground from above: the camera looks up from the lower edge. Colours are levels of service.

import { h, numeral } from "/static/dom.js";
import { inOrder } from "/static/order.js";
import { DOT, REGIONS, inferno, unpack } from "/static/overlay.js";

// People per square metre above which levels B to F begin (Fruin, walkways).
const LIMITS = [0.308, 0.431, 0.718, 1.076, 2.153];
const LEVELS = [null, 0, 0.22, 0.45, 0.69, 0.96];
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** Draw a camera's map onto a canvas. */
export function drawMap(canvas, camera, reading) {
  const [left, near, right, far] = camera.view.extent;
  const across = Math.max(right - left, (far - near) / 1.25);
  const start = left - (across - (right - left)) / 2;
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round((canvas.clientWidth || 300) * ratio);
  const scale = width / across;
  const legend = 40 * ratio;
  const depth = Math.round((far - near) * scale);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== depth + legend) canvas.height = depth + legend;
  const context = canvas.getContext("2d");
  const place = ([x, y]) => [(x - start) * scale, (far - y) * scale];
  const ground = ([x, y]) => place(project(camera.view.matrix, x, y));
  context.fillStyle = "#15171b";
  context.fillRect(0, 0, width, depth + legend);
  context.save();
  context.beginPath();
  context.rect(0, 0, width, depth);
  context.clip();
  fillSeen(context, ground);
  if (reading?.map?.rows) paint(context, reading.map, place([left, far]), (right - left) * scale, depth);
  grid(context, start, near, across, far, place, scale, ratio);
  outline(context, camera.view.marked.map(place), "#c9ced4", ratio, true);
  inOrder(camera, "regions").forEach(([, region], i) => outline(context, region.polygon.map(ground), REGIONS[i % REGIONS.length], 1.6 * ratio, true));
  inOrder(camera, "lines").forEach(([, line]) => outline(context, [line.start, line.end].map(ground), "#ffffff", 2 * ratio, false));
  heads(context, reading?.points || [], ground, Math.min(Math.max(0.16 * scale, 1.4 * ratio), 4 * ratio), ratio);
  bar(context, scale, depth, width, ratio);
  context.restore();
  key(context, width, depth, legend, ratio);
}

function project(matrix, x, y) {
  const [a, b, w] = matrix.map((row) => row[0] * x + row[1] * y + row[2]);
  return w > 0 ? [a / w, b / w] : [NaN, NaN];
}

/** Fill what the camera sees: the ground of the frame up to the horizon. */
function fillSeen(context, ground) {
  const edge = [[0, 1], [1, 1]];
  for (const x of [1, 0]) {
    // Up along the side as far as there is ground.
    let top = 1;
    for (let y = 1; y >= 0; y -= 0.02) if (Number.isFinite(ground([x, y])[0])) top = y; else break;
    edge.push([x, top]);
  }
  context.beginPath();
  edge.map(ground).forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x, y));
  context.closePath();
  context.fillStyle = "#3c3e42";
  context.fill();
}

function paint(context, map, [x, y], wide, tall) {
  const small = h("canvas", { width: map.columns, height: map.rows });
  const brush = small.getContext("2d");
  const pixels = brush.createImageData(map.columns, map.rows);
  unpack(map).forEach((value, i) => {
    const level = LIMITS.filter((limit) => (value / 255) * map.top > limit).length;
    if (level) pixels.data.set([...inferno(LEVELS[level]), 217], 4 * i);
  });
  brush.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(small, x, y, wide, tall);
}

function grid(context, start, near, across, far, place, scale, ratio) {
  const step = STEPS.find((one) => one >= across / 8) || 1000;
  context.strokeStyle = "rgb(255 255 255 / 10%)";
  context.lineWidth = ratio;
  context.beginPath();
  for (let x = Math.ceil(start / step) * step; x < start + across; x += step) {
    context.moveTo(...place([x, near]));
    context.lineTo(...place([x, far]));
  }
  for (let y = Math.ceil(near / step) * step; y < far; y += step) {
    context.moveTo(...place([start, y]));
    context.lineTo(...place([start + across, y]));
  }
  context.stroke();
}

function outline(context, corners, paint, thick, closed) {
  if (!corners.flat().every(Number.isFinite)) return;
  context.beginPath();
  corners.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x, y));
  if (closed) context.closePath();
  context.lineWidth = thick;
  context.strokeStyle = paint;
  context.stroke();
}

function heads(context, points, ground, radius, ratio) {
  for (const [fill, edge] of [["rgb(13 15 18 / 90%)", ratio], [DOT, 0]]) {
    context.fillStyle = fill;
    context.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const [x, y] = ground([points[i], points[i + 1]]);
      if (!Number.isFinite(x)) continue;
      context.moveTo(x + radius + edge, y);
      context.arc(x, y, radius + edge, 0, 7);
    }
    context.fill();
  }
}

function bar(context, scale, depth, width, ratio) {
  const metres = STEPS.find((one) => one >= width / scale / 6) || 1000;
  const [left, foot, long] = [10 * ratio, depth - 10 * ratio, metres * scale];
  context.fillStyle = "rgb(13 15 18 / 70%)";
  context.fillRect(left - 6 * ratio, foot - 24 * ratio, Math.max(long, 30 * ratio) + 12 * ratio, 30 * ratio);
  context.strokeStyle = context.fillStyle = "#ffffff";
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  for (const [i, [x, y]] of [[left, foot - 5 * ratio], [left, foot], [left + long, foot], [left + long, foot - 5 * ratio]].entries()) context[i ? "lineTo" : "moveTo"](x, y);
  context.stroke();
  context.font = `${12 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.fillText(`${metres} m`, left, foot - 9 * ratio);
}

/** Draw the levels' colours with their letters, and people per square metre where they end. */
function key(context, width, top, tall, ratio) {
  const wide = width / 6;
  const box = 20 * ratio;
  context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  [..."ABCDEF"].forEach((letter, i) => {
    context.fillStyle = i ? `rgb(${inferno(LEVELS[i]).join(" ")})` : "#3c3e42";
    context.fillRect(i * wide, top + 2 * ratio, wide - ratio, box);
    context.fillStyle = i > 3 ? "#15171b" : "#ffffff";
    context.fillText(letter, (i + 0.5) * wide, top + 2 * ratio + box / 2);
  });
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  context.fillStyle = "#c9ced4";
  LIMITS.forEach((limit, i) => context.fillText(numeral(Number(limit.toPrecision(2))), (i + 1) * wide, top + tall - 8 * ratio));
}
