// What is known of a camera now: a count that is not of now is never shown as if it were.

import { now, people, since } from "/static/dom.js";

// s for which a count is shown without its age, and for which it is one of now, at the least: where
// pictures are counted seldom (`rate`), the next count is not late before the camera's `patience`.
const [FRESH, STANDS] = [15, 300];

/** Return a camera's count as it is to be shown.
 *
 * `number` is null where nothing is known of now, and `note` then tells the last count, of the
 * reading or of `earlier` ones, with its age; `isOld` if it is not quite fresh.
 */
export function present({ health, reading, patience = 0 }, earlier = []) {
  const isCounted = (one) => one && one.count !== null;
  const age = reading ? now() - reading.at : Infinity;
  if (isCounted(reading) && health.state === "live" && age < Math.max(STANDS, 2 * patience)) {
    const isOld = age >= Math.max(FRESH, patience);
    return { number: reading.smooth ?? reading.count, unit: "people", isOld, note: isOld ? `${since(reading.at)} ago` : "" };
  }
  const last = isCounted(reading) ? reading : earlier.findLast(isCounted);
  const note = last ? `last ${people(last.smooth ?? last.count)}, ${since(last.at)} ago` : "";
  return { number: null, unit: health.state === "unknown" ? "not known" : "not counted", isOld: true, note };
}

/** Return a camera with the age of its picture grown since a state: the next one may be long on its way. */
export function aged(camera, time) {
  const { age } = camera.health;
  return age === null ? camera : { ...camera, health: { ...camera.health, age: age + Math.max(0, now() - time) } };
}

/** Return a camera as it is known without a connection: as it was, and nothing of now. */
export function unknown(camera) {
  const alarms = Object.entries(camera.alarms).map(([name, alarm]) => [name, { ...alarm, count: null }]);
  return { ...camera, alarms: Object.fromEntries(alarms), health: { ...camera.health, state: "unknown", age: null, fps: null, error: null } };
}

/** Return whether a reading's picture was counted, or may be soon: it is not covered, turned or moving. */
export function isTrusted(reading) {
  return reading.count !== null || ["good", "learning"].includes(reading.picture);
}

/** Return a camera's mark in the list of cameras, and what it says. */
export function markOf({ alarms, health, reading }) {
  const is = (state) => Object.values(alarms).some((alarm) => alarm.state === state);
  if (is("raised")) return ["raised", "alarm"];
  if (health.state !== "live") return [health.state === "connecting" ? "wait" : "away", health.state];
  if (reading && !isTrusted(reading)) return ["away", `not counted: picture ${reading.picture}`];
  return is("acknowledged") ? ["wait", "alarm, acknowledged"] : ["live", "live"];
}
