// Copyright 2026 The videollm_ros authors
// SPDX-License-Identifier: Apache-2.0
// Brings what the console sends to the parts of the page, and what the operator does to the console.

import { Chart } from "./chart.js";
import { Connection } from "./connection.js";
import { Feed } from "./feed.js";
import { Figures, describe } from "./figures.js";

const SETTLING = 2000; // milliseconds in which an older threshold that is still on its way is not shown

const element = (id) => document.getElementById(id);
const [image, noImage, threshold, mute, question, send, select] =
  ["image", "no-image", "threshold", "mute", "question", "send", "assistants"].map(element);
const chart = new Chart(element("chart"), setThreshold);
const feed = new Feed(element("feed"), element("feed-empty"), element("large"));
const figures = new Figures(element("figures"));

let name = ""; // of the assistant that is shown
let condition = null;
let shownAt = 0; // when the newest image came, milliseconds
let settlesAt = 0;
let asking = false;
const problems = new Map(); // what -> [level, sentence]

const handlers = {
  assistants({ names }) {
    select.replaceChildren(...names.map((each) => new Option(each.present ? each.name : `${each.name} (gone)`, each.name)));
    select.hidden = !names.length;
    select.value = name;
    showCondition();
  },
  snapshot(event) {
    name = event.assistant;
    select.value = name;
    condition = null;
    problems.clear();
    image.hidden = true;
    settlesAt = 0;
    figures.clear();
    chart.load(event.probabilities, event.utterances);
    feed.load(name, event.utterances);
    for (const kind of ["threshold", "status", "condition", "image_error"]) if (event[kind]) handlers[kind](event[kind]);
    showCondition();
  },
  probability(event) {
    chart.add(event.stamp, event.probability);
    handlers.threshold({ value: event.threshold });
  },
  threshold({ value }) {
    if (performance.now() < settlesAt && Math.abs(value - chart.threshold) > 5e-4) return;
    showThreshold(value);
  },
  utterance(event) {
    feed.show(event);
    chart.mark(event);
  },
  cut_off: () => feed.cutOff(),
  status(event) {
    figures.show(event);
    if (event.figures.muted) showMuted(event.figures.muted === "true");
    for (const key of [...problems.keys()]) if (key.startsWith("status ")) problems.delete(key);
    for (const { part, level, message } of event.warnings) problems.set(`status ${part}`, [level > 1 ? "bad" : "warn", `${part}: ${message}`]);
    showProblems();
  },
  condition(event) {
    condition = event;
    if (event.assistant === "absent" || event.assistant === "silent") {
      figures.clear();
      for (const key of [...problems.keys()]) if (key.startsWith("status ")) problems.delete(key);
    }
    showCondition();
  },
  image_error: ({ sentence }) => problem("image", "warn", sentence),
  result({ do: done, ok, message }) {
    if (done === "ask") showAsking(false);
    if (!ok && done === "threshold") settlesAt = 0;
    problem(`result ${done}`, "bad", ok ? "" : message);
  },
};

const connection = new Connection({
  events(events) {
    if (problems.delete("connection")) showProblems();
    for (const event of events) handlers[event.type]?.(event);
  },
  image(blob) {
    const old = image.src;
    image.src = URL.createObjectURL(blob);
    if (old.startsWith("blob:")) URL.revokeObjectURL(old);
    shownAt = performance.now();
    if (!image.hidden) return;
    image.hidden = false;
    showCondition();
  },
  lost(sentence) {
    showAsking(false);
    problem("connection", "bad", sentence);
    element("state").dataset.level = "bad"; // what was known may be wrong by now
    element("state").lastChild.textContent = "no console";
    image.parentElement.classList.add("stale");
  },
});

function showCondition() {
  const [level, word, sentence] = describe(condition, name);
  element("state").dataset.level = level;
  element("state").lastChild.textContent = word;
  noImage.textContent = sentence || (image.hidden ? "Waiting for an image" : "");
  image.parentElement.classList.toggle("stale", Boolean(sentence));
  element("topic").textContent = condition?.topic ?? "";
  const isThere = Boolean(name) && condition?.assistant === "present";
  for (const each of [mute, element("reset"), question, threshold]) each.disabled = !isThere;
  send.disabled = !isThere && !asking;
  showProblems();
}

function problem(what, level, sentence) {
  problems.delete(what);
  if (sentence) problems.set(what, [level, sentence]);
  showProblems();
}

function showProblems() {
  const notices = element("notices");
  const wanted = [...problems.values()];
  if (notices.textContent === wanted.map(([, sentence]) => sentence).join("")) return;
  notices.replaceChildren(...wanted.map(([level, sentence]) =>
    Object.assign(document.createElement("p"), { className: `notice ${level}`, textContent: sentence })));
}

function showMuted(muted) {
  mute.ariaPressed = String(muted);
  mute.textContent = muted ? "Muted" : "Mute";
}

function showThreshold(value) {
  chart.threshold = value;
  if (document.activeElement !== threshold) threshold.value = String(Math.round(1000 * value) / 1000);
}

function setThreshold(value) {
  settlesAt = performance.now() + SETTLING;
  showThreshold(value);
  connection.send({ do: "threshold", value });
}

function showAsking(now) {
  asking = now;
  send.textContent = now ? "Stop" : "Ask";
}

element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (asking) connection.send({ do: "stop" });
  else if (text && connection.send({ do: "ask", text })) {
    question.value = "";
    showAsking(true);
  }
});
threshold.addEventListener("change", () => {
  const value = threshold.valueAsNumber;
  if (value >= 0 && value <= 1) setThreshold(value);
  else threshold.value = String(chart.threshold ?? "");
});
mute.addEventListener("click", () => connection.send({ do: "mute", value: mute.ariaPressed !== "true" }));
element("reset").addEventListener("click", () => connection.send({ do: "reset" }));
select.addEventListener("change", () => connection.send({ do: "choose", assistant: select.value }));
setInterval(() => {
  const age = (performance.now() - shownAt) / 1000;
  element("image-age").textContent = image.hidden || age < 2 ? "" : `${Math.round(age)} s ago`;
}, 500);
