// Copyright 2026 The videollm_ros authors
// SPDX-License-Identifier: Apache-2.0
// The WebSocket to the console: opened again when it is lost, closed while the page is hidden.

const HIDDEN_AFTER = 10_000; // milliseconds a hidden page keeps its connection
const WAITS = [500, 1000, 2000, 5000]; // milliseconds before each new try

export class Connection {
  #socket = null;
  #tries = 0;
  #timer = 0;

  constructor({ events, image, lost }) {
    this.events = events; // takes an array of events
    this.image = image; // takes a Blob
    this.lost = lost; // takes a sentence
    document.addEventListener("visibilitychange", () => this.#visibility());
    this.#open();
  }

  send(command) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(command));
    return true;
  }

  #open() {
    clearTimeout(this.#timer);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      this.#tries = 0;
      if (typeof data === "string") this.events(JSON.parse(data));
      else this.image(new Blob([data.slice(8)]));
    };
    socket.onclose = (closed) => {
      if (socket === this.#socket) this.#again(closed.reason);
    };
    this.#socket = socket;
  }

  async #again(reason) {
    this.#socket = null;
    if (document.hidden) return;
    this.lost(reason || "The console does not respond. Trying again.");
    this.#timer = setTimeout(() => this.#open(), WAITS[Math.min(this.#tries++, WAITS.length - 1)]);
    const response = await fetch("/icon.svg", { cache: "no-store" }).catch(() => null);
    if (response?.status === 401) this.lost("The console was started again with another token. Open the address that it printed.");
  }

  #visibility() {
    clearTimeout(this.#timer);
    if (!document.hidden) {
      if (!this.#socket) this.#open();
    } else {
      // A page that nobody sees costs nothing.
      this.#timer = setTimeout(() => {
        const socket = this.#socket;
        this.#socket = null;
        socket?.close();
      }, HIDDEN_AFTER);
    }
  }
}
