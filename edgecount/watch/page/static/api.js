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

/** A WebSocket that reconnects, and asks for the next picture once one is drawn. */
export class Live {
  constructor({ onMessage, onPicture, onLink }) {
    Object.assign(this, { onMessage, onPicture, onLink });
    this.cameras = {};
    this.delay = 500;
    this.decoder = new TextDecoder();
    document.addEventListener("visibilitychange", () => this.ask());
    this.open();
  }

  open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.delay = 500;
      this.onLink(true);
      this.watch(this.cameras);
    };
    socket.onmessage = (event) => (typeof event.data === "string" ? this.onMessage(JSON.parse(event.data)) : this.take(event.data));
    socket.onclose = () => {
      this.onLink(false);
      setTimeout(() => this.open(), this.delay * (0.75 + Math.random() / 2));
      this.delay = Math.min(this.delay * 2, 15000);
    };
    this.socket = socket;
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
