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

// ms of silence after which nothing is known of now, and after which a connection is given up.
// States come each second, but one picture may take 20 s on a slow way.
const [SILENT, LOST] = [10000, 25000];

/** A WebSocket that reconnects, and asks for the next picture once one is drawn. */
export class Live {
  constructor({ onMessage, onPicture, onLink }) {
    Object.assign(this, { onMessage, onPicture, onLink });
    this.cameras = {};
    this.delay = 500;
    this.isLinked = true;
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
      this.heard = performance.now();
      this.delay = 500;
      if (!this.isLinked) this.tell(true);
      if (typeof event.data === "string") this.onMessage(JSON.parse(event.data));
      else this.take(event.data);
    };
    socket.onclose = () => this.reopen();
    this.socket = socket;
    this.heard = performance.now();
  }

  reopen() {
    this.tell(false);
    setTimeout(() => this.open(), this.delay * (0.75 + Math.random() / 2));
    this.delay = Math.min(this.delay * 2, 15000);
  }

  tell(isLinked) {
    this.isLinked = isLinked;
    this.onLink(isLinked);
  }

  /** Notice a connection that has gone silent: where packets are lost on the way, nothing closes it. */
  listen() {
    const silence = performance.now() - this.heard;
    if (silence > SILENT && this.isLinked) this.tell(false);
    if (silence < LOST || this.socket.readyState >= WebSocket.CLOSING) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.reopen();
  }

  /** Watch cameras: their ids, and which of image, points, density and map each shows. */
  watch(cameras) {
    this.cameras = cameras;
    this.say({ type: "watch", cameras });
    this.ask();
  }

  /** Ask for the next pictures; a hidden page asks for none. */
  ask(name) {
    if (document.hidden) return;
    const wanted = name ? [name] : Object.keys(this.cameras);
    for (const camera of wanted) if (this.cameras[camera]?.image) this.say({ type: "next", camera });
  }

  say(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  async take(buffer) {
    const bytes = new Uint8Array(buffer);
    const end = 1 + bytes[0];
    const camera = this.decoder.decode(bytes.subarray(1, end));
    const time = new DataView(buffer).getFloat64(end);
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
