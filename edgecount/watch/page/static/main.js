// The frame of the page: which camera is shown, what comes from the service, and the theme.

import { Live, get } from "/static/api.js";
import { banners } from "/static/alarms.js";
import { CameraPage } from "/static/camera.js";
import { fill, h, people, remembered, setClock } from "/static/dom.js";
import { Wall } from "/static/wall.js";

const RECENT = 1000; // readings of a camera that the short line is drawn from
const recent = new Map();
let state = null;
let page = null;
let live = null;
let isLinked = true;

const watch = (cameras) => live.watch(cameras);
const mayEdit = () => state.role === "editor" && !state.read_only;
const byId = (name) => document.getElementById(name);

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = remembered("theme") || (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = chosen;
    byId("theme").textContent = chosen === "dark" ? "Light" : "Dark";
    byId("theme").setAttribute("aria-label", `Change to ${chosen === "dark" ? "light" : "dark"} colours`);
  };
  byId("theme").addEventListener("click", () => {
    remembered("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    apply();
    page?.recolour?.();
  });
  dark.addEventListener("change", apply);
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
  const camera = state.cameras.find(({ id }) => id === name) || (state.cameras.length === 1 ? state.cameras[0] : null);
  page?.close();
  const tools = { mayEdit: mayEdit(), history: state.history, watch, recent: (id) => recent.get(id) || [] };
  page = camera ? new CameraPage(camera, tools) : new Wall(state.cameras, state.sinks, tools);
  fill(byId("main"), page.element);
  document.title = camera ? `${camera.title} · edgecount` : "edgecount";
  page.open();
  navigate(camera?.id ?? "");
}

/** Show the cameras' names with their counts; elements stay, so that the focus does. */
function navigate(current) {
  const place = byId("cameras");
  const links = [{ id: "", title: "All" }, ...state.cameras];
  if (place.children.length !== links.length || [...place.children].some((link, i) => link.dataset.id !== links[i].id)) {
    fill(place, links.map(({ id }) => h("a", { href: `#/${id}`, "data-id": id }, h("i.mark"), h("span"), h("b"))));
  }
  links.forEach((camera, i) => {
    const [mark, title, number] = place.children[i].children;
    if (current === camera.id) place.children[i].setAttribute("aria-current", "page");
    else if (current !== undefined) place.children[i].removeAttribute("aria-current");
    title.textContent = camera.title;
    mark.hidden = number.hidden = !camera.id;
    if (!camera.id) return;
    const raised = Object.values(camera.alarms).some((alarm) => alarm.state === "raised");
    const isLive = camera.health.state === "live";
    mark.className = `mark ${raised ? "raised" : isLive ? "live" : camera.health.state === "connecting" ? "wait" : "away"}`;
    mark.title = raised ? "alarm" : camera.health.state;
    const reading = camera.reading;
    number.textContent = reading && isLive ? people(reading.smooth ?? reading.count) : "–";
  });
  place.hidden = state.cameras.length < 2;
}

function onState(message) {
  const ids = (cameras) => cameras.map(({ id }) => id).join();
  const isOther = ids(message.cameras) !== ids(state.cameras) || message.history !== state.history;
  state = { ...state, ...message };
  banners(byId("banners"), state.cameras, mayEdit());
  navigate();
  if (isOther) show();
  else if (page.setState) page.setState(state);
  else page.setCamera(state.cameras.find(({ id }) => id === page.camera.id));
}

function onReading(reading) {
  const list = recent.get(reading.camera) || recent.set(reading.camera, []).get(reading.camera);
  list.push({ at: reading.at, count: reading.count, smooth: reading.smooth });
  if (list.length > RECENT) list.shift();
  if (page.setState || reading.camera === page.camera.id) page.setReading(reading);
}

function onMessage(message) {
  if (message.type === "state") onState(message);
  else if (message.type === "reading") onReading(message);
  else if (message.type === "event") page.onEvent(message);
}

/** Catch up after a lost connection; another version is another page. */
async function refresh() {
  const fresh = await get("/api/state");
  if (fresh.version !== state.version || fresh.read_only !== state.read_only || fresh.role !== state.role) location.reload();
}

function onLink(linked) {
  // The first connection has just been preceded by the state; a refused one may want a new login.
  if (linked !== isLinked || !linked) refresh().catch(() => {});
  isLinked = linked;
  setTimeout(() => { byId("link").textContent = isLinked ? "" : "No connection to the service; trying again…"; }, linked ? 0 : 1500);
}

async function start() {
  theme();
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
  addEventListener("hashchange", go);
  addEventListener("beforeunload", (event) => page.isDirty?.() && event.preventDefault());
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
}

start();
