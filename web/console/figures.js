// Copyright 2026 The videollm_ros authors
// SPDX-License-Identifier: Apache-2.0
// The figures from /diagnostics, and in words how the assistant and its camera are.

const TILES = [
  ["images_in", "images in", "Hz", 1],
  ["frames_used", "frames read", "Hz", 1],
  ["frames_dropped", "dropped", "Hz", 1],
  ["lag", "lag", "s", 2],
  ["latency", "per frame", "ms", 0],
  ["context", "context", "%", 0],
];

export class Figures {
  #cells = new Map();
  #fill = Object.assign(document.createElement("meter"), { max: 100, ariaLabel: "Context fill" });

  constructor(list) {
    for (const [name, label, unit] of TILES) {
      const tile = document.createElement("div");
      const value = document.createElement("span");
      const term = Object.assign(document.createElement("dt"), { textContent: label });
      const cell = document.createElement("dd");
      cell.append(value, " ", Object.assign(document.createElement("small"), { textContent: unit }));
      tile.dataset.figure = name;
      tile.append(term, cell);
      if (name === "context") tile.append(this.#fill);
      list.append(tile);
      this.#cells.set(name, { tile, value });
    }
    this.clear();
  }

  clear() {
    for (const { tile, value } of this.#cells.values()) {
      value.textContent = "–";
      tile.classList.remove("warn");
    }
    this.#fill.value = 0;
  }

  show({ figures, latency }) {
    const stages = [latency.encode, latency.frame].filter((each) => each !== undefined).map(Number);
    const values = { ...figures, latency: stages.length ? stages.reduce((sum, each) => sum + each) : undefined };
    for (const [name, , , digits] of TILES) {
      const { tile, value } = this.#cells.get(name);
      const number = Number.parseFloat(values[name]);
      value.textContent = Number.isFinite(number) ? number.toFixed(digits) : "–";
      tile.classList.toggle("warn", (name === "frames_dropped" && number > 0) || (name === "lag" && number > 2));
    }
    this.#fill.value = Number.parseFloat(figures.context) || 0;
    this.#cells.get("latency").tile.title = "Encoding and decoding of one frame, mean of the last second";
    if (figures.dropped) this.#cells.get("frames_dropped").tile.title = `${figures.dropped} frames dropped so far`;
    if (figures.context_tokens) this.#cells.get("context").tile.title = `${figures.context_tokens} tokens`;
  }
}

const LIFECYCLE = { active: ["ok", "watching"], inactive: ["warn", "paused"], configuring: ["warn", "loading"], unconfigured: ["bad", "not configured"] };

// Returns [level, word, sentence]: for the dot, beside it, and in place of the image ("" when there is one).
export function describe(condition, name) {
  if (!name) return ["bad", "no assistant", "No assistant in this graph. Start one: ros2 launch videollm_ros assistant.launch.py"];
  if (!condition) return ["off", "looking", "Looking for the camera"];
  const { assistant, camera, topic, state } = condition;
  if (assistant === "absent") return ["bad", "no assistant", `${name} is not in the graph. It is shown again when it is back.`];
  if (assistant === "silent") return ["bad", "no sign of life", `${name} has not been heard for some seconds.`];
  const [level, word] = LIFECYCLE[state] ?? ["warn", state || "starting"];
  if (word !== "watching") return [level, word, camera === "ok" ? "" : `No camera yet: ${name} is ${word}.`];
  if (camera === "none") return ["warn", "no camera", `No camera: ${name} watches no image topic.`];
  if (camera === "nobody") return ["warn", "no camera", `No camera: nobody publishes on ${topic}.`];
  if (camera === "stalled") return ["warn", "no camera", `No camera: no image has come on ${topic} for some seconds.`];
  return [level, word, ""];
}
