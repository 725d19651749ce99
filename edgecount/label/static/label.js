// The page: which picture is worked on, what its buttons and keys do, and what is said about it.

import { Board } from "/static/board.js";
import { fill, h, toast } from "/static/dom.js";
import { Hands } from "/static/hands.js";
import { ONCE, action, showHelp } from "/static/keys.js";
import { List } from "/static/list.js";
import { theme } from "/static/theme.js";
import { Leftovers, Work, call } from "/static/work.js";

const POLL = 4000; // ms between two looks at what is in the folder
const byId = (id) => document.getElementById(id);
const works = new Map(); // pictures that were opened: their undo lasts as long as the page
const board = new Board(byId("board"));
const list = new List({ items: byId("items"), filter: byId("filter"), bar: byId("bar"), done: byId("done") }, (name) => open(name));
let about = null;
let leftovers = null;
let work = null; // null while a picture comes, or when it cannot be read
let current = null;
let mode = "mark";
let threshold = 0.4;
let hands = null;
let isLinked = true;

/** Open a picture by its name. */
async function open(name) {
  current = name;
  work = null;
  hands.drop();
  board.selected = -1;
  list.choose(name);
  listed(false);
  byId("title").textContent = name;
  document.title = `${name} · edgecount label`;
  show();
  message("Loading…");
  const { status, answer } = await call("GET", "/api/picture", { name });
  if (current !== name) return;
  if (status !== 200) {
    board.show(null);
    message(status === 422 ? `This picture cannot be annotated: ${answer.error}` : `${answer.error}.`);
    await refresh();
    return;
  }
  const known = works.get(name);
  const isStale = known && known.isSaved && known.revision !== answer.revision;
  const isOther = known && known.now !== answer.file;
  if (!known || isStale || (isOther && known.isSaved && known.state === "new")) works.set(name, new Work(answer, leftovers, changed));
  else if (isOther) known.replace(answer);
  work = works.get(name);
  show();
  message("");
  showPicture();
  if (work.state === "new") propose(work);
}

/** Show the picture itself: another one, or another file of its name. */
function showPicture() {
  const { name, width, height, now } = work;
  board.show({ name, width, height, file: now, tile: about.tile }).catch(() => message("The picture could not be fetched; choose it again."));
}

/** Ask for what the model finds, until it is there or another picture is looked at. */
async function propose(asked) {
  if (!about.model || asked.heads) return;
  while (work === asked && !asked.heads) {
    const { status, answer } = await call("GET", "/api/proposal", { name: asked.name });
    if (status !== 200 || answer.state === "off") return;
    if (answer.state === "failed") {
      asked.failure = answer.problem;
      break;
    }
    if (answer.state === "ready") asked.heads = answer.heads;
  }
  if (work === asked) show();
}

const points = () => work?.shown(threshold) ?? [];

/** Show a picture's points and all that depends on them. */
function show() {
  board.points = points();
  board.isProposed = work?.isProposing ?? false;
  if (board.selected >= board.points.length) board.selected = -1;
  board.draw();
  showCount();
  showButtons();
  showBars();
  showSaved();
}

function showCount() {
  const badge = byId("count");
  badge.hidden = !work;
  if (!work) return;
  const number = board.points.length;
  const isWaiting = work.state === "new" && about.model && !work.heads && !work.failure;
  const kind = work.isProposing ? "proposed" : work.state;
  const said = { proposed: "proposed", new: isWaiting ? "· looking for heads…" : "marked", open: "marked", done: "marked · done ✓", empty: "· nobody here ✓" }[kind];
  badge.className = `badge ${kind}`;
  fill(badge, h("b", {}, number), ` ${said}`);
  board.canvas.setAttribute("aria-label", `${work.name}: ${number} heads ${said}. Arrow keys and N, P change the picture; press question mark for all keys.`);
}

function showButtons() {
  const isProposing = work?.isProposing ?? false;
  byId("undo").disabled = !work?.past.length;
  byId("redo").disabled = !work?.future.length;
  byId("remove").disabled = board.selected < 0;
  byId("erase").disabled = byId("empty").disabled = byId("finish").disabled = !work;
  byId("propose").hidden = !about?.model;
  byId("propose").disabled = !work || work.state === "new";
  byId("erase").setAttribute("aria-pressed", `${mode === "erase"}`);
  byId("empty").setAttribute("aria-pressed", `${work?.state === "empty"}`);
  byId("finish").textContent = work?.state === "done" ? "Reopen" : "Done";
  byId("finish").classList.toggle("key", work?.state !== "done");
  byId("slider").hidden = !isProposing;
  byId("threshold").value = threshold;
  byId("shown").textContent = `${Math.round(threshold * 100)} %`;
}

function showBars() {
  const bars = [];
  if (work?.conflict) {
    const settle = (mine) => () => work.settle(mine) === "new" && propose(work);
    const { text, theirs, mine } = work.question;
    bars.push(h("div.bar.bad", {}, h("span", {}, `This picture ${text}`), h("button", { type: "button", onclick: settle(false) }, theirs), h("button", { type: "button", onclick: settle(true) }, mine)));
  } else if (work?.problem) {
    bars.push(h("div.bar.bad", {}, h("span", {}, `Not saved: ${work.problem}. Your points stay in this page; it tries again by itself.`), h("button", { type: "button", onclick: () => work.save() }, "Try now")));
  }
  const other = [...works.values()].find((one) => one.conflict && one !== work);
  if (other) bars.push(h("div.bar.bad", {}, h("span", {}, `${other.name} ${other.question.text}`), h("button", { type: "button", onclick: () => open(other.name) }, "Show it")));
  const outside = work?.outside() ?? [];
  if (outside.length) bars.push(outsideBar(outside));
  if (work?.warning && !work.isProposing) bars.push(h("div.bar", {}, h("span", {}, work.warning)));
  if (work?.failure && work.state === "new") bars.push(h("div.bar", {}, h("span", {}, `No proposal: ${work.failure}.`)));
  const said = bars.map((bar) => bar.textContent).join();
  if (said === byId("bars").dataset.said) return; // nothing new: what has the focus keeps it
  byId("bars").dataset.said = said;
  fill(byId("bars"), bars);
}

function outsideBar(outside) {
  const places = outside.slice(0, 3).map(([x, y]) => `${x}, ${y}`).join("; ");
  const [which, pronoun] = outside.length === 1 ? ["1 mark lies", "it"] : [`${outside.length} marks lie`, "them"];
  const text = `${which} outside the picture (${places}${outside.length > 3 ? "; …" : ""}).`;
  // A bar that says the same of another picture stays: the points are looked up when it is used.
  const change = (moved) => () => {
    const gone = new Set(work.outside());
    board.selected = -1;
    work.edit(work.points.filter((point) => moved || !gone.has(point)).map((point) => (gone.has(point) ? within(point) : point)));
  };
  return h("div.bar", {}, h("span", {}, text), h("button", { type: "button", onclick: change(true) }, `Move ${pronoun} to the edge`), h("button", { type: "button", onclick: change(false) }, `Remove ${pronoun}`));
}

function showSaved() {
  const unsaved = [...works.values()].filter((one) => !one.isSaved);
  const isBad = unsaved.some((one) => one.problem);
  byId("saved").textContent = isBad ? "Not saved" : !isLinked ? "No connection" : unsaved.length ? "Saving…" : works.size ? "Saved" : "";
  byId("saved").classList.toggle("bad", isBad || !isLinked);
}

function changed(one) {
  list.update(one.name, one.state, one.points.length);
  if (one === work) {
    if (board.picture.file !== one.now) showPicture();
    return show();
  }
  showBars();
  return showSaved();
}

function message(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

const say = (text) => { byId("say").textContent = text; };
const within = ([x, y]) => [Math.min(Math.max(x, 0), work.width), Math.min(Math.max(y, 0), work.height)].map((value) => Math.round(value * 100) / 100);

const acts = {
  isReady: () => work !== null,
  mode: () => mode,
  add(x, y) {
    if (x < 0 || y < 0 || x > work.width || y > work.height) return acts.select(-1);
    board.selected = -1;
    work.edit([...points(), within([x, y])]);
    say(`Head ${points().length} marked`);
  },
  select(index) {
    board.selected = index;
    show();
    if (index >= 0) say(`Mark ${index + 1} of ${board.points.length} selected, at ${board.points[index].map(Math.round).join(", ")}`);
  },
  remove(index) {
    board.selected = -1;
    work.edit(points().filter((_, i) => i !== index));
    say(`Mark removed, ${points().length} left`);
  },
  move(index, x, y, isLast) {
    const moved = points().map((point, i) => (i === index ? within([x, y]) : point));
    board.selected = index;
    if (isLast) work.edit(moved);
    else Object.assign(board, { points: moved }).draw();
  },
  erase(x1, y1, x2, y2) {
    const [left, right, top, bottom] = [Math.min(x1, x2), Math.max(x1, x2), Math.min(y1, y2), Math.max(y1, y2)];
    const kept = points().filter(([x, y]) => x < left || x > right || y < top || y > bottom);
    const gone = points().length - kept.length;
    board.selected = -1;
    if (gone) work.edit(kept);
    say(`${gone} marks erased`);
    mode = "mark";
    show();
  },
};

const commands = {
  go: (step) => go(list.neighbour(current, step)),
  zoom: (factor) => board.zoom(factor),
  fit: () => board.fit(),
  undo: () => work?.undo(),
  redo: () => work?.redo(),
  help: () => showHelp(byId("keys")),
  size: () => board.nextSize(),
  release: () => { mode = "mark"; acts.select(-1); },
  erase: () => { mode = mode === "erase" ? "mark" : "erase"; show(); },
  remove: () => board.selected >= 0 && acts.remove(board.selected),
  middle: () => work && acts.add(...board.toPicture(board.wide / 2, board.tall / 2)),
  nudge(dx, dy) {
    const [x, y] = points()[board.selected];
    acts.move(board.selected, x + dx, y + dy, true);
  },
  select(step) {
    const number = points().length;
    if (!number) return;
    const from = board.selected < 0 && step < 0 ? 0 : board.selected;
    acts.select((from + step + number) % number);
    board.reveal(board.points[board.selected]);
  },
  finish() {
    if (!work) return;
    if (work.state === "done") {
      work.reopen();
      return;
    }
    if (!points().length) {
      toast("Nobody is marked. If there is nobody in the picture, say so: E");
      return;
    }
    work.finish(points());
    onwards();
  },
  accept() {
    if (work?.state === "done") onwards();
    else commands.finish();
  },
  nobody() {
    if (work?.state === "empty") onwards();
    else commands.empty();
  },
  empty() {
    if (!work) return;
    if (work.state === "empty") {
      work.forget();
      return;
    }
    const number = points().length;
    const gone = work.isProposing ? "proposed heads are not taken" : "marks of this picture are removed";
    if (number && !confirm(`Nobody here? The ${number} ${gone}.`)) return;
    work.empty();
    onwards();
  },
  propose() {
    if (work.points.length && !confirm(`Start again from the proposal? The ${work.points.length} marks are replaced; Undo brings them back.`)) return;
    work.forget();
    propose(work);
  },
};

function go(picture) {
  if (picture) open(picture.name);
  else toast("There is no further picture here.");
}

function onwards() {
  const next = list.nextToDo(current);
  if (next) open(next.name);
  else toast("All pictures are done.");
}

function listed(isOpen) {
  document.body.classList.toggle("listed", isOpen);
  byId("drawer").setAttribute("aria-expanded", `${isOpen}`);
}

/** Look at what is in the folder now. */
async function refresh() {
  const { status, answer } = await call("GET", "/api/state", about ? { known: about.version } : {});
  // Another folder may be served at this address now: its pictures are none of this page's.
  const isOther = status === 200 && about && answer.pictures && answer.id !== about.id;
  isLinked = status === 200 && !isOther;
  showSaved();
  if (!isLinked) {
    if (isOther) message("Another folder is served at this address now: load the page anew.");
    else if (!about || !works.size) message(`${answer.error}.`);
    return;
  }
  if (!answer.pictures) return;
  about = answer;
  // What is not saved yet is newer here than there.
  for (const picture of answer.pictures) {
    const known = works.get(picture.name);
    if (known && !known.isSaved) Object.assign(picture, { state: known.state, count: known.points.length });
  }
  list.set(answer.pictures);
}

/** Save what an earlier page could not, and say of what; returns the first picture that was changed elsewhere since. */
async function saveLeftovers() {
  const names = leftovers.names().filter((name) => list.find(name));
  const told = { saved: [], conflict: [], failed: [], other: [] };
  for (const name of names) told[await saveLeftover(name)].push(name);
  const tell = (kind, text, isBad) => told[kind].length && toast(`${text}: ${told[kind].join(", ")}`, isBad);
  tell("saved", "Changes that were not saved before are saved now");
  tell("conflict", "Changes that were not saved before are not saved now either, since the picture was changed elsewhere", true);
  tell("failed", "Changes that were not saved before are not saved yet", true);
  tell("other", "Changes that were not saved before were dropped, since another picture has this name now", true);
  return told.conflict[0];
}

/** Return what has become of the leftovers of a picture: saved, conflict, failed or other (of another picture). */
async function saveLeftover(name) {
  const { status, answer } = await call("GET", "/api/picture", { name });
  if (status !== 200) return "failed";
  const one = new Work(answer, leftovers, changed);
  works.set(name, one);
  if (!one.isRestored) return "other";
  await one.save();
  return one.isSaved ? "saved" : one.conflict ? "conflict" : "failed";
}

function listen() {
  hands = new Hands(board, acts);
  const press = { in: ["zoom", 1.4], out: ["zoom", 1 / 1.4], fit: ["fit"], back: ["go", -1], next: ["go", 1], undo: ["undo"], redo: ["redo"], erase: ["erase"], remove: ["remove"], propose: ["propose"], empty: ["empty"], finish: ["finish"], size: ["size"], help: ["help"] };
  for (const [id, [name, ...given]] of Object.entries(press)) byId(id).addEventListener("click", () => commands[name](...given));
  byId("drawer").addEventListener("click", () => listed(!document.body.classList.contains("listed")));
  byId("view").addEventListener("pointerdown", () => listed(false));
  byId("threshold").addEventListener("input", (event) => {
    threshold = Number(event.target.value);
    board.selected = -1;
    show();
  });
  addEventListener("keydown", onKey);
  addEventListener("keyup", (event) => event.key === " " && hands.space(false));
  addEventListener("beforeunload", (event) => {
    const unsaved = [...works.values()].filter((one) => !one.isSaved);
    unsaved.forEach((one) => leftovers.keep(one));
    if (unsaved.length) event.preventDefault();
  });
}

function onKey(event) {
  const { target } = event;
  // A held Enter would press the button that has the focus again and again.
  if (event.repeat && event.key === "Enter") event.preventDefault();
  if (byId("keys").open || target.matches("select, input[type=text]")) return;
  const isBoard = target === board.canvas || target === document.body;
  if (event.key === " " && isBoard) {
    event.preventDefault();
    hands.space(true);
    return;
  }
  // Enter presses the button that has the focus, and arrows move the slider.
  if (!isBoard && (event.key === "Enter" || (target.matches("input") && event.key.startsWith("Arrow")))) return;
  const [name, ...given] = action(event, board.selected >= 0) ?? [];
  if (!name) return;
  event.preventDefault();
  if (!(event.repeat && ONCE.has(name))) commands[name](...given);
}

async function start() {
  theme(byId("theme"));
  listen();
  await refresh();
  if (!about) {
    setTimeout(() => location.reload(), POLL);
    return;
  }
  leftovers = new Leftovers(about.id);
  threshold = about.threshold ?? threshold;
  byId("threshold").min = about.lowest;
  const changedElsewhere = await saveLeftovers();
  const first = list.find(changedElsewhere) ?? list.nextToDo(null) ?? list.pictures[0];
  if (first) open(first.name);
  else message("There is no picture in the folder now.");
  setInterval(() => document.hidden || refresh(), POLL);
}

start();
