// The frame of the page: which camera is shown, what comes from the service, and the theme.

import { Live, get } from "/static/api.js";
import { banners } from "/static/alarms.js";
import { CameraPage } from "/static/camera.js";
import { fill, h, now, people, remembered, setClock, toast } from "/static/dom.js";
import { aged, markOf, present, unknown } from "/static/present.js";
import { Wall } from "/static/wall.js";

const RECENT = 1000; // readings of a camera that the short line is drawn from
const CHECKS = 60000; // ms between looks whether the login still holds
const recent = new Map();
let state = null;
let page = null;
let builtFor = "";
let live = null;
let isLinked = true;

const watch = (cameras) => live.watch(cameras);
const mayEdit = () => state.role === "editor" && !state.read_only;
const layout = () => JSON.stringify([state.cameras.map(({ id }) => id), state.history]);
const cameras = () => state.cameras.map((camera) => (isLinked ? aged(camera, state.time) : unknown(camera)));
const byId = (name) => document.getElementById(name);

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = remembered("theme") || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = chosen;
    byId("theme").textContent = chosen === "dark" ? "Light" : "Dark";
    byId("theme").setAttribute("aria-label", `Change to ${chosen === "dark" ? "light" : "dark"} colours`);
  };
  const change = () => {
    apply();
    page?.recolour?.();
  };
  byId("theme").addEventListener("click", () => {
    remembered("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    change();
  });
  dark.addEventListener("change", change);
  apply();
}

/** Go where the address says, unless something would be lost by it. */
function go() {
  if (page?.isDirty?.() && !confirm("Leave without saving what you changed?")) history.replaceState(null, "", `#/${page.camera.id}`);
  else show();
}

/** Show what the address asks for: all cameras, or one. */
function show() {
  const name = location.hash.replace(/^#\/?/, "");
  const known = cameras();
  const camera = known.find(({ id }) => id === name) || (known.length === 1 ? known[0] : null);
  page?.close();
  builtFor = layout();
  const tools = { mayEdit: mayEdit(), history: state.history, watch, recent: (id) => recent.get(id) || [] };
  page = camera ? new CameraPage(camera, tools) : new Wall(known, state.sinks, tools);
  fill(byId("main"), page.element);
  document.title = camera ? `${camera.title} · edgecount` : "edgecount";
  page.open();
  navigate();
}

/** Show the cameras' names with their counts; elements stay, so that the focus does. */
function navigate() {
  const current = page.camera?.id ?? "";
  const place = byId("cameras");
  const links = [{ id: "", title: "All" }, ...cameras()];
  if (place.children.length !== links.length || [...place.children].some((link, i) => link.dataset.id !== links[i].id)) {
    fill(place, links.map(({ id }) => h("a", { href: `#/${id}`, "data-id": id }, h("i.mark"), h("span"), h("b"))));
  }
  links.forEach((camera, i) => {
    const [mark, title, number] = place.children[i].children;
    if (current === camera.id) place.children[i].setAttribute("aria-current", "page");
    else place.children[i].removeAttribute("aria-current");
    title.textContent = camera.title;
    mark.hidden = number.hidden = !camera.id;
    if (!camera.id) return;
    const [kind, words] = markOf(camera);
    mark.className = `mark ${kind}`;
    mark.title = words;
    const count = present(camera);
    number.textContent = people(count.number);
    number.classList.toggle("old", count.isOld);
  });
  place.hidden = state.cameras.length < 2;
}

function onState(message) {
  state = { ...state, ...message };
  setClock(state.time);
  // Who is drawing goes on until it is saved or given up, if the camera stays.
  const isHere = state.cameras.some(({ id }) => id === page.camera?.id);
  if (layout() !== builtFor && !(page.editor && isHere)) {
    if (page.isDirty?.()) toast(`${page.camera.title} has been removed, and what was not saved with it.`, true);
    show();
  }
  update();
}

/** Show what is known of the cameras now. */
function update() {
  const known = cameras();
  banners(byId("banners"), known, mayEdit());
  navigate();
  if (page.setState) page.setState({ ...state, cameras: known });
  else page.setCamera(known.find(({ id }) => id === page.camera.id));
}

function onReading(reading) {
  const list = recent.get(reading.camera) || recent.set(reading.camera, []).get(reading.camera);
  if (list.at(-1)?.at !== reading.at) list.push({ at: reading.at, count: reading.count, smooth: reading.smooth });
  if (list.length > RECENT) list.shift();
  if (page.setState || reading.camera === page.camera.id) page.setReading(reading);
}

function onMessage(message) {
  if (message.type === "state") onState(message);
  else if (message.type === "reading") onReading(message);
  else if (message.type === "event") page.onEvent(message);
}

/** Notice a login that has ended or has another role, and another version, which is another page. */
async function check() {
  const fresh = await get("/api/state");
  setClock(fresh.time); // no picture was before it on its way
  if (fresh.version !== state.version || fresh.read_only !== state.read_only || fresh.role !== state.role) location.reload();
}

function onLink(linked, isAnew) {
  // A connection that was only silent has missed nothing; a refused one may want a new login.
  if (isAnew) check().then(() => linked && page.refresh?.()).catch(() => {});
  isLinked = linked;
  setTimeout(showLink, linked ? 0 : 1500);
}

function showLink() {
  byId("link").textContent = isLinked ? "" : "No connection to the service; trying again…";
  update();
}

async function start() {
  if (![[].findLast, Object.hasOwn, self.structuredClone, "inert" in document.body].every(Boolean)) {
    fill(byId("main"), h("p.hint", {}, "This browser is too old for the page: it needs Chrome or Edge 102, Firefox 112, Safari 15.5, or a newer one."));
    return;
  }
  try {
    state = await get("/api/state");
  } catch (error) {
    fill(byId("main"), h("p.hint", {}, `${error.message}. Trying again…`));
    setTimeout(start, 3000);
    return;
  }
  setClock(state.time);
  byId("logout").hidden = !state.login;
  byId("about").textContent = `edgecount ${state.version}${state.read_only ? " · read-only" : state.role === "viewer" ? " · viewer" : ""}`;
  live = new Live({ onMessage, onLink, onPicture: (camera, time, picture) => page.onPicture(camera, picture) });
  show();
  banners(byId("banners"), state.cameras, mayEdit());
  setInterval(() => check().catch(() => {}), CHECKS);
  setInterval(() => (isLinked && now() - state.time < 3) || update(), 5000); // ages grow
  addEventListener("hashchange", go);
  addEventListener("beforeunload", (event) => page.isDirty?.() && event.preventDefault());
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
}

theme();
start();
