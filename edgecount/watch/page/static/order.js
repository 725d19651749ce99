// Names in the order of the config: an object puts "2" and "10", wherever they stand there, before "hall".

/** Return names and values of a camera's regions, lines or alarms, of a kind that is shown. */
export function inOrder(camera, kind) {
  const all = camera[kind] ?? {};
  return (camera.order?.[kind] ?? []).filter((name) => Object.hasOwn(all, name)).map((name) => [name, all[name]]);
}

/** Return the names alone. */
export function namesOf(camera, kind) {
  return inOrder(camera, kind).map(([name]) => name);
}

/** Return whether two lists of plain values are the same. */
export function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
