// Copyright 2026 The videollm_ros authors
// SPDX-License-Identifier: Apache-2.0
// The speak probability of the last two minutes, what was said, and the threshold as a line to drag.
//
// stream.threshold is what silence needs to win, so the assistant speaks above 1 - threshold, where the line is.

const SECONDS = 120;
const STEP = 0.01; // of the arrow keys

export class Chart {
  #times = [];
  #values = [];
  #marks = new Map(); // time -> {kind, value}
  #threshold = null;
  #dragged = false;
  #redraw = 0;

  constructor(element, setThreshold) {
    this.element = element;
    this.setThreshold = setThreshold;
    this.#build();
    new ResizeObserver(() => this.plot.setSize(this.#size())).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.plot.destroy();
      this.#build();
    });
  }

  load(probabilities, utterances) {
    this.#times = probabilities.map(([time]) => time);
    this.#values = probabilities.map(([, value]) => value);
    this.#marks.clear();
    for (const each of utterances) this.mark(each);
    this.#later();
  }

  add(time, value) {
    if (this.#times.length && time < this.#times.at(-1)) this.load([], []); // a new stream
    this.#times.push(time);
    this.#values.push(value);
    const gone = this.#times.findIndex((each) => time - each <= SECONDS);
    for (const old of this.#times.splice(0, gone)) this.#marks.delete(old);
    this.#values.splice(0, gone);
    this.#later();
  }

  mark(utterance) {
    const kind = utterance.held_back ? 2 : utterance.answer ? 1 : 0;
    this.#marks.set(utterance.stamp, { kind, value: utterance.probability });
    this.#later();
  }

  get threshold() {
    return this.#threshold;
  }

  set threshold(value) {
    this.#threshold = value;
    if (!this.#dragged) this.#place(value);
  }

  #size() {
    return { width: Math.max(100, this.element.clientWidth), height: Math.max(80, this.element.clientHeight) };
  }

  #build() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const axis = { stroke: color("quiet"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const dots = (name) => ({ stroke: color(name), paths: () => null, points: { show: true, size: 9, fill: color(name), stroke: color("panel"), width: 1.5 } });
    const ago = [-120, -90, -60, -30, 0];
    const newest = () => this.#times.at(-1) ?? 0;
    this.plot = new uPlot({
      ...this.#size(),
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: () => [newest() - SECONDS, newest()] }, y: { range: [0, 1] } },
      axes: [
        { ...axis, size: 22, splits: () => ago.map((each) => newest() + each), values: () => ago.map((each) => (each ? `${-each} s ago` : "now")) },
        { ...axis, size: 34, splits: () => [0, 0.25, 0.5, 0.75, 1], values: (_, at) => at.map((each) => each.toString()) },
      ],
      series: [{}, { stroke: color("quiet"), width: 1.5, points: { show: false } }, dots("says"), dots("answers"), dots("held")],
      hooks: {
        drawClear: [(plot) => {
          if (this.#threshold === null) return;
          const { left, top, width } = plot.bbox;
          plot.ctx.fillStyle = color("zone");
          plot.ctx.fillRect(left, top, width, plot.valToPos(1 - this.#threshold, "y", true) - top);
        }],
        setSize: [() => this.#place(this.#threshold)],
      },
    }, this.#data(), this.element);
    this.#handle();
    this.#place(this.#threshold);
  }

  #data() {
    const marks = [0, 1, 2].map((kind) => this.#times.map((time) => {
      const mark = this.#marks.get(time);
      return mark?.kind === kind ? mark.value : null;
    }));
    return [this.#times, this.#values, ...marks];
  }

  #later() {
    this.#redraw ||= requestAnimationFrame(() => {
      this.#redraw = 0;
      this.plot.setData(this.#data());
    });
  }

  // The line.

  #handle() {
    const line = this.line = document.createElement("div");
    line.className = "threshold";
    line.tabIndex = 0;
    line.role = "slider";
    line.ariaLabel = "Probability above which it speaks";
    line.ariaValueMin = 0;
    line.ariaValueMax = 1;
    line.append(document.createElement("span"));
    const at = (event) => {
      const { top, height } = this.plot.over.getBoundingClientRect();
      return Math.round(1000 * Math.min(1, Math.max(0, (event.clientY - top) / height))) / 1000;
    };
    line.onpointerdown = (event) => {
      line.setPointerCapture(event.pointerId);
      this.#dragged = true;
      line.classList.add("dragged");
    };
    line.onpointermove = (event) => {
      if (this.#dragged) this.#place(at(event));
    };
    line.onpointerup = (event) => this.#drop(at(event));
    line.onpointercancel = () => this.#drop(null);
    line.onkeydown = (event) => {
      const step = { ArrowUp: -STEP, ArrowRight: -STEP, ArrowDown: STEP, ArrowLeft: STEP }[event.key];
      if (!step || this.#threshold === null) return;
      event.preventDefault();
      this.setThreshold(Math.round(1000 * Math.min(1, Math.max(0, this.#threshold + step))) / 1000);
    };
    this.plot.over.append(line);
  }

  #drop(threshold) {
    if (!this.#dragged) return;
    this.#dragged = false;
    this.line.classList.remove("dragged");
    if (threshold === null) this.#place(this.#threshold);
    else this.setThreshold(threshold);
  }

  #place(threshold) {
    if (!this.line) return;
    this.line.hidden = threshold === null;
    if (threshold === null) return;
    const level = 1 - threshold;
    this.line.style.top = `${100 * threshold}%`;
    this.line.classList.toggle("high", level > 0.85);
    this.line.firstChild.textContent = `speaks above ${level.toFixed(3)}`;
    this.line.ariaValueNow = level.toFixed(3);
    this.plot.redraw(false);
  }
}
