// Keys, and the page that says what they do.

import { fill, h } from "/static/dom.js";

const HELP = [
  ["Click or tap", "Mark a head; on a mark: select it, once more: remove it"],
  ["Drag a mark", "Move it"],
  ["Drag elsewhere, right button, space, two fingers", "Move the picture"],
  ["Wheel, pinch, + − 0", "Zoom; 0 shows all"],
  ["Shift and drag, X", "Erase what a rectangle holds"],
  ["Right click, Delete", "Remove a mark"],
  ["Ctrl+Z, Ctrl+Y", "Undo, redo"],
  ["Enter", "Done: on to the next picture that is to do"],
  ["E", "Nobody is in this picture"],
  ["N, P, → ←", "Next, previous picture"],
  ["[ ]", "Select the mark before, after"],
  ["→ ← ↑ ↓ with a selected mark", "Move it by a pixel (Shift: ten)"],
  ["A", "Mark the middle of what is shown"],
  ["S", "Size of the marks"],
  ["Escape", "Select nothing"],
];

/** Actions that a held key does once: what they do to pictures, or to marks in one place, could not be seen one by one. */
export const ONCE = new Set(["accept", "nobody", "erase", "remove", "middle", "size", "help"]);

/** Return the action of a key, or null: [name, ...arguments]. */
export function action(event, hasSelection) {
  const { key, ctrlKey, metaKey, shiftKey, altKey } = event;
  const low = key.toLowerCase();
  if (ctrlKey || metaKey) {
    if (low === "z") return [shiftKey ? "redo" : "undo"];
    return low === "y" ? ["redo"] : null;
  }
  if (altKey) return null;
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (step && hasSelection) return ["nudge", ...step.map((one) => one * (shiftKey ? 10 : 1))];
  if (step) return step[0] ? ["go", step[0]] : null;
  const plain = {
    n: ["go", 1], p: ["go", -1], "+": ["zoom", 1.4], "=": ["zoom", 1.4], "-": ["zoom", 1 / 1.4], 0: ["fit"],
    delete: ["remove"], backspace: ["remove"], e: ["nobody"], enter: ["accept"], x: ["erase"], s: ["size"],
    a: ["middle"], "[": ["select", -1], "]": ["select", 1], escape: ["release"], "?": ["help"],
  };
  return plain[low] ?? null;
}

/** Show what keys and fingers do. */
export function showHelp(dialog) {
  const rows = HELP.map(([what, does]) => h("tr", {}, h("th", { scope: "row" }, what), h("td", {}, does)));
  fill(
    dialog,
    h("h2", { id: "keys-title" }, "Keys and fingers"),
    h("table", {}, h("tbody", {}, rows)),
    h("p.small", {}, "Each change is saved at once. Pictures that are done, or empty, are in the CSV; those that are begun wait in a file beside it."),
    h("form.row", { method: "dialog" }, h("button.key", {}, "Close")),
  );
  dialog.showModal();
}
