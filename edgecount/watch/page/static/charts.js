// Charts over time (uPlot), and the short line beside the count.

import { colour, numeral, people } from "/static/dom.js";

const date = (step, text, year = null, day = null) => [step, text, year, null, day, null, null, null, 1];
const DAY = "\n{D} {MMM}";
const DATES = [
  date(86400 * 365, "{YYYY}"),
  date(86400 * 28, "{MMM}", "\n{YYYY}"),
  date(86400, "{D} {MMM}", "\n{YYYY}"),
  date(3600, "{HH}:{mm}", DAY, DAY),
  date(60, "{HH}:{mm}", DAY, DAY),
  date(1, "{HH}:{mm}:{ss}", DAY, DAY),
];

/** Return a chart of several lines over time, drawn into a place of the page; `ahead`: seconds that another clock than the browser's is ahead of UTC at a time; the axis has its times. */
export function chart(place, { data, series, bands = [], height = 260, range, ahead, onPick, onRead }) {
  const axis = { stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1 }, font: "12px system-ui, sans-serif" };
  const options = {
    width: Math.max(place.clientWidth, 240),
    height,
    legend: { show: false },
    padding: [10, 20, 0, 0],
    cursor: { y: false, drag: { x: Boolean(onPick), y: false, setScale: false }, points: { size: 8 } },
    scales: { x: { time: true, range: range ? () => range : undefined }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.08)] } },
    axes: [{ ...axis, space: 64, values: DATES }, { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => (Math.abs(tick) >= 10000 ? `${numeral(tick / 1000)}k` : numeral(tick))) }],
    series: [{}, ...series],
    bands,
    ...(ahead && { tzDate: (seconds) => uPlot.tzDate(new Date((seconds + ahead(seconds)) * 1000), "Etc/UTC") }),
    hooks: {
      setCursor: [(plot) => onRead?.(plot.cursor.idx)],
      setSelect: [(plot) => {
        const { left, width } = plot.select;
        if (width > 8) onPick(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  };
  return new uPlot(options, data, place);
}

/** Return the series of a mean with the interval and the extremes around it. */
export function bandSeries() {
  const none = { width: 0, stroke: "transparent", points: { show: false } };
  return {
    series: [none, none, none, none, { label: "mean", stroke: colour("line"), width: 2, points: { show: false } }],
    bands: [{ series: [2, 1], fill: colour("reach") }, { series: [4, 3], fill: colour("band") }],
  };
}

/** Draw the last three minutes: the smoothed line, single counts as dots. */
export function sparkline(canvas, points) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (!wide) return;
  Object.assign(canvas, { width: wide, height: tall });
  const context = canvas.getContext("2d");
  const now = points.at(-1)?.at ?? 0;
  const span = Math.min(180, Math.max(5, now - (points[0]?.at ?? now)));
  const shown = points.filter(({ at }) => at >= now - span);
  const values = shown.flatMap(({ count, smooth }) => [count, smooth]).filter((value) => value !== null);
  if (!values.length) {
    canvas.setAttribute("aria-label", "Nothing was counted");
    canvas.nextSibling.textContent = "";
    return;
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const reach = Math.max(high - low, 0.15 * high, 2);
  const middle = (low + high) / 2;
  const x = (at) => wide - ((now - at) / span) * wide;
  const y = (value) => tall / 2 - ((value - middle) / reach) * 0.8 * tall;
  context.fillStyle = colour("soft");
  context.globalAlpha = 0.55;
  for (const { at, count } of shown) if (count !== null) context.fillRect(x(at) - ratio, y(count) - ratio, 2 * ratio, 2 * ratio);
  context.globalAlpha = 1;
  context.strokeStyle = colour("line");
  context.lineWidth = 2 * ratio;
  context.lineJoin = "round";
  context.beginPath();
  const gap = Math.max(10, 3 * usualDistance(shown)); // s: longer ones are not drawn over
  let previous = null;
  for (const { at, smooth } of shown) {
    if (smooth !== null) context[previous !== null && at - previous < gap ? "lineTo" : "moveTo"](x(at), y(smooth));
    previous = smooth === null ? null : at;
  }
  context.stroke();
  canvas.setAttribute("aria-label", `The last ${Math.round(span)} seconds: ${people(low)} to ${people(high)} people`);
  canvas.nextSibling.textContent = `last ${Math.round(span)} s, smoothed; dots: single pictures`;
}

/** Return the median distance of readings in seconds. */
function usualDistance(points) {
  const distances = points.slice(1).map(({ at }, i) => at - points[i].at).sort((one, other) => one - other);
  return distances[Math.floor(distances.length / 2)] ?? 0;
}
