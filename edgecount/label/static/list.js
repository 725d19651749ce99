// The list of pictures with their state, and the progress.

import { h } from "/static/dom.js";

/** Return what a picture counts as: new, open, done, empty or bad. */
export function standing({ state, problem }) {
  return problem ? "bad" : state;
}

function words(picture) {
  const { state, count, problem } = picture;
  if (problem) return "unreadable";
  return { new: "to do", open: `begun · ${count}`, done: `✓ ${count}`, empty: "✓ nobody" }[state];
}

const FILTERS = {
  all: () => true,
  todo: (picture) => ["new", "open"].includes(standing(picture)),
  done: (picture) => standing(picture) === "done",
  empty: (picture) => standing(picture) === "empty",
  bad: (picture) => standing(picture) === "bad",
};

export class List {
  constructor({ items, filter, bar, done }, onChoose) {
    Object.assign(this, { items, filter, bar, done, onChoose, pictures: [], elements: new Map(), current: null });
    filter.addEventListener("change", () => this.show());
  }

  /** Take the pictures as the server tells them. */
  set(pictures) {
    this.pictures = pictures;
    this.show();
  }

  find(name) {
    return this.pictures.find((picture) => picture.name === name);
  }

  /** Tell what this page knows of a picture before the server tells it. */
  update(name, state, count) {
    const picture = this.find(name);
    if (!picture) return;
    Object.assign(picture, { state, count });
    this.paint(picture);
    this.showProgress();
  }

  choose(name) {
    this.current = name;
    for (const [key, element] of this.elements) element.toggleAttribute("aria-current", key === name);
    const element = this.elements.get(name);
    element?.setAttribute("aria-current", "true");
    element?.scrollIntoView({ block: "nearest" });
  }

  /** Return the picture `step` places from one, of those that the filter shows. */
  neighbour(name, step) {
    const all = this.pictures.filter((picture) => picture.name === name || FILTERS[this.filter.value](picture));
    return all[all.findIndex((picture) => picture.name === name) + step] ?? null;
  }

  /** Return the next picture that is to be done, from the beginning again after the last. */
  nextToDo(name) {
    const place = this.pictures.findIndex((picture) => picture.name === name);
    const after = [...this.pictures.slice(place + 1), ...this.pictures.slice(0, Math.max(place, 0))];
    return after.find(FILTERS.todo) ?? null;
  }

  show() {
    const shown = this.pictures.filter((picture) => FILTERS[this.filter.value](picture) || picture.name === this.current);
    const names = new Set(shown.map(({ name }) => name));
    for (const [name, element] of this.elements) {
      if (names.has(name)) continue;
      element.parentElement.remove();
      this.elements.delete(name);
    }
    let before = null;
    for (const picture of shown) {
      if (!this.elements.has(picture.name)) this.elements.set(picture.name, this.item(picture.name));
      this.paint(picture);
      const entry = this.elements.get(picture.name).parentElement;
      const place = before ? before.nextSibling : this.items.firstChild;
      if (entry !== place) this.items.insertBefore(entry, place);
      before = entry;
    }
    this.showProgress();
    this.choose(this.current);
  }

  item(name) {
    const source = `/api/view.jpg?small&${new URLSearchParams({ name })}`;
    const picture = h("img", { alt: "", loading: "lazy", src: source, width: 72, height: 48 });
    picture.addEventListener("error", () => picture.replaceWith(h("i")), { once: true });
    const button = h("button.item", { type: "button", title: name, onclick: () => this.onChoose(name) }, picture, h("span", {}, name), h("small"));
    h("li", {}, button);
    return button;
  }

  paint(picture) {
    const element = this.elements.get(picture.name);
    if (!element) return;
    element.dataset.state = standing(picture);
    element.lastChild.textContent = words(picture);
    if (picture.problem) element.title = `${picture.name}: ${picture.problem}`;
  }

  showProgress() {
    const all = this.pictures.filter((picture) => !picture.problem).length;
    const done = this.pictures.filter((picture) => FILTERS.done(picture) || FILTERS.empty(picture)).length;
    this.bar.max = Math.max(all, 1);
    this.bar.value = done;
    this.done.textContent = `${done} of ${all} done`;
  }
}
