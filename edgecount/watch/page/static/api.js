// Requests and the WebSocket.

/** Fetch JSON; an Error with the server's one line if it refuses. */
export async function get(path, query = {}) {
  const search = new URLSearchParams(query).toString();
  return answer(await fetch(search ? `${path}?${search}` : path, { headers: { Accept: "application/json" } }));
}

/** Send JSON. */
export async function send(method, path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return answer(await fetch(path, { method, headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  if (response.status === 401) location.assign("/login");
  let body;
  try {
    body = await response.json();
  } catch {
    body = { error: `the service answered ${response.status}` };
  }
  if (!response.ok) throw new Error(body.error || `the service answered ${response.status}`);
  return body;
}

// ms of silence after which nothing is known of now, and after which a connection is given up: states
// come each second. While a picture may be on its way they wait behind it, and a slow way takes long.
const [SILENT, LOST, SLOWEST] = [10000, 25000, 60000];

/** A WebSocket that reconnects, and asks for the next picture once one is drawn. */
export class Live {
  constructor({ onMessage, onPicture, onLink }) {
    Object.assign(this, { onMessage, onPicture, onLink });
    this.cameras = {};
    this.delay = 500;
    this.isLinked = true;
    this.isAnew = false; // it has missed what was told before it
    this.asked = new Set(); // cameras whose pictures may be on their way
    this.quiet = 0; // ms of the longest silence since the last picture
    this.usual = null; // ms of silence that pictures have brought lately
    this.decoder = new TextDecoder();
    document.addEventListener("visibilitychange", () => {
      this.listen();
      this.ask();
    });
    setInterval(() => this.listen(), 1000);
    this.open();
  }

  open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.watch(this.cameras);
    socket.onmessage = (event) => {
      this.quiet = Math.max(this.quiet, performance.now() - this.heard);
      this.heard = performance.now();
      this.delay = 500;
      if (!this.isLinked) this.tell(true);
      if (typeof event.data === "string") this.onMessage(JSON.parse(event.data));
      else this.take(event.data);
    };
    socket.onclose = () => this.reopen();
    this.socket = socket;
    this.asked.clear();
    this.quiet = 0;
    this.heard = performance.now();
  }

  reopen() {
    this.isAnew = true;
    this.tell(false);
    setTimeout(() => this.open(), this.delay * (0.75 + Math.random() / 2));
    this.delay = Math.min(this.delay * 2, 15000);
  }

  tell(isLinked) {
    this.isLinked = isLinked;
    this.onLink(isLinked, this.isAnew);
    if (isLinked) this.isAnew = false;
  }

  /** Notice a connection that has gone silent: where packets are lost on the way, nothing closes it. */
  listen() {
    const silence = performance.now() - this.heard;
    const isLoading = this.asked.size > 0;
    const usual = isLoading ? Math.min(2 * (this.usual ?? SLOWEST), SLOWEST) : 0;
    if (silence > Math.max(SILENT, usual) && this.isLinked) this.tell(false);
    if (silence < (isLoading ? SLOWEST : LOST) || this.socket.readyState >= WebSocket.CLOSING) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.reopen();
  }

  /** Watch cameras: their ids, and which of image, points, density and map each shows. */
  watch(cameras) {
    this.cameras = cameras;
    for (const camera of this.asked) if (!cameras[camera]) this.asked.delete(camera);
    this.say({ type: "watch", cameras });
    this.ask();
  }

  /** Ask for the next pictures; a hidden page asks for none. */
  ask(name) {
    if (document.hidden) return;
    const wanted = name ? [name] : Object.keys(this.cameras);
    for (const camera of wanted) if (this.cameras[camera]?.image && this.say({ type: "next", camera })) this.asked.add(camera);
  }

  /** Send a message; returns whether there was a connection to send it by. */
  say(message) {
    const isOpen = this.socket.readyState === WebSocket.OPEN;
    if (isOpen) this.socket.send(JSON.stringify(message));
    return isOpen;
  }

  async take(buffer) {
    const bytes = new Uint8Array(buffer);
    const end = 1 + bytes[0];
    const camera = this.decoder.decode(bytes.subarray(1, end));
    const time = new DataView(buffer).getFloat64(end);
    this.asked.delete(camera);
    this.usual = Math.max(this.quiet, 0.9 * (this.usual ?? 0));
    this.quiet = 0;
    try {
      const picture = await createImageBitmap(new Blob([bytes.subarray(end + 8)], { type: "image/jpeg" }));
      this.onPicture(camera, time, picture);
    } catch {
      // A damaged picture; the next one may be whole.
    } finally {
      requestAnimationFrame(() => this.ask(camera));
    }
  }
}
