// The points of one picture: changes, undo and redo, and saving each change.

const WAIT = 250; // ms between a change and its saving: a drag or a burst of clicks is one save
const AGAIN = 3000; // ms until a save that failed is tried again
const MOST = 500; // steps back
const MARGIN = 1; // px outside a picture within which a point counts as inside

/** Send a request; returns the status and the answer; 0 if nothing answers. */
export async function call(method, path, query = {}, body = undefined) {
  const headers = { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) };
  const search = new URLSearchParams(query).toString();
  try {
    const response = await fetch(search ? `${path}?${search}` : path, { method, headers, body: body && JSON.stringify(body) });
    const answer = await response.json().catch(() => ({ error: `edgecount label answered ${response.status}` }));
    if (response.status === 401) answer.error = "edgecount label was started anew: open the address that it prints now, in this browser";
    return { status: response.status, answer };
  } catch {
    return { status: 0, answer: { error: "edgecount label does not answer: is it still running?" } };
  }
}

/** A picture that is worked on. `onChange` is called whenever something to show has changed. */
export class Work {
  constructor(info, store, onChange) {
    const { name, width, height, file, warning, state, points, revision } = info;
    Object.assign(this, { name, width, height, file, warning, state, points, revision, store, onChange });
    Object.assign(this, { past: [], future: [], heads: null, failure: "", problem: "", conflict: null, isRestored: false, now: file });
    this.version = this.savedVersion = 0;
    this.restore();
  }

  get isProposing() {
    return this.state === "new" && this.heads !== null;
  }

  get isSaved() {
    return this.version === this.savedVersion;
  }

  /** Return the points to show: those of the picture, or those that the model proposes. */
  shown(threshold) {
    if (!this.isProposing) return this.points;
    if (this.filtered?.threshold !== threshold) {
      this.filtered = { threshold, points: this.heads.filter(([, , score]) => score >= threshold).map(([x, y]) => [x, y]) };
    }
    return this.filtered.points;
  }

  /** Take other points; what was proposed is taken over by the first change. */
  edit(points) {
    this.go({ points, state: this.state === "done" && points.length ? "done" : "open" });
  }

  /** Return the points outside the picture, where another program has put them; what a border cuts is none. */
  outside() {
    return this.points.filter(([x, y]) => x < -MARGIN || y < -MARGIN || x > this.width + MARGIN || y > this.height + MARGIN);
  }

  finish(points) {
    this.go({ points, state: "done" });
  }

  reopen() {
    this.go({ points: this.points, state: "open" });
  }

  empty() {
    this.go({ points: [], state: "empty" });
  }

  /** Go back to a picture that nobody has touched. */
  forget() {
    this.go({ points: [], state: "new" });
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  go(next) {
    this.past.push({ points: this.points, state: this.state });
    if (this.past.length > MOST) this.past.shift();
    this.future = [];
    this.take(next);
  }

  step(from, to) {
    const next = from.pop();
    if (!next) return;
    to.push({ points: this.points, state: this.state });
    this.take(next);
  }

  take({ points, state }) {
    Object.assign(this, { points, state });
    this.version += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), WAIT);
    this.onChange(this);
  }

  /** Save until all is saved; what cannot be is kept in this browser and tried again. */
  async save() {
    clearTimeout(this.timer);
    if (this.isSaving || this.conflict) return;
    this.isSaving = true;
    while (!this.isSaved && !this.conflict) {
      const { version, state, points, revision, file } = this;
      const { status, answer } = await call("PUT", "/api/picture", { name: this.name }, { state, points, revision, file, table: this.store.id });
      if (status === 200) {
        Object.assign(this, { revision: answer.revision, savedVersion: version, problem: "" });
        this.store.drop(this);
      } else {
        this.problem = answer.error;
        this.store.keep(this);
        if (answer.picture) this.replace(answer.picture);
        else if (status === 409) this.conflict = answer.current;
        else {
          this.timer = setTimeout(() => this.save(), AGAIN);
          break;
        }
      }
    }
    this.isSaving = false;
    this.onChange(this);
  }

  /** Take note of another picture that has this one's name now; until it is settled what is marked is the old one's. */
  replace({ width, height, warning, file, revision }) {
    Object.assign(this, { width, height, warning, now: file, heads: null, failure: "" });
    this.conflict = { points: [], state: "new", revision, isReplaced: true };
  }

  /** Return what is asked about a conflict: the text after the picture's name, and both answers. */
  get question() {
    if (this.conflict.isReplaced) return { text: "was replaced by another one. Nothing was overwritten: shall the new one have the marks of the old one?", theirs: "Mark it anew", mine: "Keep the marks" };
    return { text: "was changed in another window. Nothing was overwritten: which version shall stay?", theirs: "The other one", mine: "Mine" };
  }

  /** Settle a conflict: theirs (of another picture: none), or mine over theirs. Either can be undone; returns the state. */
  settle(mine) {
    const { points, state, revision } = this.conflict;
    const own = { points: this.points, state: this.state };
    Object.assign(this, { conflict: null, problem: "", revision, file: this.now });
    if (!mine) this.go({ points, state });
    else this.take(own);
    return this.state;
  }

  /** Take up what an earlier page could not save of this picture; that of another one of its name is of no use. */
  restore() {
    const left = this.store.find(this.name);
    if (!left) return;
    if (left.file !== this.file) {
      this.store.drop(this);
      return;
    }
    this.isRestored = true;
    this.revision = left.revision;
    this.go({ points: left.points, state: left.state });
  }
}

/** What could not be saved of one table, kept in this browser; `id` is that of the table, on its machine. */
export class Leftovers {
  constructor(id) {
    this.id = id;
    this.prefix = `label ${id} `;
  }

  names() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).map((key) => key.slice(this.prefix.length));
    } catch {
      return [];
    }
  }

  find(name) {
    try {
      return JSON.parse(localStorage.getItem(this.prefix + name));
    } catch {
      return null;
    }
  }

  keep({ name, file, points, state, revision }) {
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify({ file, points, state, revision }));
    } catch {
      // The browser's store is full or off: the points are still in the page.
    }
  }

  drop({ name }) {
    try {
      localStorage.removeItem(this.prefix + name);
    } catch {
      // It was never kept.
    }
  }
}
