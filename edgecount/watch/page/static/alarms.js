// Alarms: the band over everything, the card of each, and what has happened.

import { get, send } from "/static/api.js";
import { fill, h, now, numeral, people, refill, since, svg, toast, when } from "/static/dom.js";
import { inOrder } from "/static/order.js";

const WORDS = { quiet: "quiet", raised: "raised", acknowledged: "raised, acknowledged", "no data": "no counts" };

/** Show what is raised above the page; nothing else is announced by itself. */
export function banners(place, cameras, mayEdit) {
  const raised = cameras.flatMap((camera) => inOrder(camera, "alarms").map(([name, alarm]) => ({ camera, name, alarm }))).filter(({ alarm }) => alarm.state === "raised");
  const key = JSON.stringify(raised.map(({ camera, name }) => [camera.id, name, mayEdit]));
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  fill(place, raised.map(({ camera, name, alarm }) => h("div.banner", {}, sign(), h("b", {}, "ALARM"), h("span", {}, `${camera.title}: ${name}, ${rule(alarm)}`), mayEdit ? acknowledge(camera.id, name) : null, h("a", { href: `#/${camera.id}` }, "Look"))));
}

function sign() {
  return svg("svg", { width: 20, height: 18, viewBox: "0 0 20 18", "aria-hidden": "true" }, svg("path", { d: "M10 1 19 17H1z", fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linejoin": "round" }), svg("path", { d: "M10 7v4.5M10 13.4v1", stroke: "currentColor", "stroke-width": 2, "stroke-linecap": "round" }));
}

function acknowledge(camera, name) {
  return h("button", { type: "button", onclick: async (event) => {
    event.target.disabled = true;
    try {
      await send("POST", `/api/cameras/${camera}/alarms/${encodeURIComponent(name)}/acknowledge`);
    } catch (error) {
      toast(error.message, true);
      event.target.disabled = false;
    }
  } }, "Acknowledge");
}

/** Return what an alarm waits for. */
function rule({ above, by, region }) {
  return `${by === "low" ? "surely " : ""}above ${numeral(above)} ${by === "per_m2" ? "people per m²" : "people"}${region ? ` in ${region}` : ""}`;
}

/** Return what an alarm waits for, when it ends, and how many people there are. */
function sentence({ below, count, peak, ...alarm }) {
  const current = count !== null && count !== undefined ? `, ${people(count)} now` : "";
  const most = peak !== null && peak !== undefined ? `, ${people(peak)} at most` : "";
  return `${rule(alarm)}, clear below ${numeral(below)}${current}${most}`;
}

/** The panel of a camera's alarms and events. */
export class AlarmsPanel {
  constructor(camera) {
    Object.assign(this, { camera, events: [] });
    this.cards = h("div.stack");
    this.list = h("ul.events", { tabindex: 0, "aria-label": "Events" });
    this.element = h("section.panel.wide", { "aria-labelledby": "alarms" }, h("header", {}, h("h2", { id: "alarms" }, "Alarms and events")), h("div.patterns", {}, this.cards, this.list));
  }

  setCamera(camera, mayEdit) {
    this.camera = camera;
    const alarms = inOrder(camera, "alarms");
    const key = JSON.stringify([alarms.map(([name, { state }]) => [name, state]), mayEdit]);
    if (key !== this.key) this.build(alarms, mayEdit);
    this.key = key;
    alarms.forEach(([, alarm], i) => {
      const [row, text] = this.cards.children[i].children;
      row.querySelector("span").textContent = `${WORDS[alarm.state] || alarm.state}${alarm.since ? ` for ${since(alarm.since)}` : ""}`;
      text.textContent = `${sentence(alarm)}.${alarm.state === "raised" && !mayEdit ? " Editors can acknowledge it." : ""}`;
    });
  }

  /** Make the cards anew if a state has changed: buttons stay under the pointer. */
  build(alarms, mayEdit) {
    const cards = alarms.map(([name, { state }]) => h(`div.alarm.${state.replace(" ", "-")}`, {},
      h("div.row", {}, state === "raised" ? h("i.mark.raised", { "aria-hidden": "true" }) : null, h("strong", {}, name), h("span.small.fill"), state === "raised" && mayEdit ? acknowledge(this.camera.id, name) : null), h("p.small")));
    fill(this.cards, cards.length ? cards : h("p.hint", {}, "This camera has no alarms; the config can give it some."));
  }

  async load() {
    try {
      const to = Math.ceil(now()) + 60;
      const { events } = await get("/api/events", { camera: this.camera.id, from: to - 7 * 86400, to });
      this.add(...events);
    } catch (error) {
      if (!this.events.length) fill(this.list, h("li", {}, h("i"), h("i"), h("span.small", {}, error.message)));
    }
  }

  /** Add events; what has just happened may not be in the history yet, or be told twice. */
  add(...events) {
    const all = new Map([...this.events, ...events].map((event) => [event.id, event]));
    this.events = [...all.values()].sort((one, other) => other.time.localeCompare(one.time)).slice(0, 200);
    const rows = this.events.map((event) => h("li", {}, h(`i.mark.${mark(event)}`, { "aria-hidden": "true" }), h("time", { datetime: event.time }, when(Date.parse(event.time) / 1000)), h("span", {}, words(event))));
    refill(this.list, rows.length ? rows : h("li", {}, h("i"), h("i"), h("span.small", {}, "Nothing in the last seven days.")));
  }
}

function mark({ kind, change }) {
  if (change === "raised") return "raised";
  if (change === "lost" || (kind === "picture" && change !== "good")) return "away";
  return change === "acknowledged" ? "wait" : "live";
}

function words({ kind, name, change, count, peak, unit, detail }) {
  const what = kind === "alarm" ? `${name} ${change}` : kind === "camera" ? `camera ${change}` : `picture: ${change}`;
  const inWords = unit === "people/m2" ? "people per m²" : "people";
  const numbers = [count !== null && count !== undefined ? `${people(count)} ${inWords}` : "", peak !== null && peak !== undefined && change === "cleared" ? `${people(peak)} at most` : ""].filter(Boolean).join(", ");
  return [what, numbers, detail].filter(Boolean).join(" · ");
}
