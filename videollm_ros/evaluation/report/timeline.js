// Copyright 2026 The videollm_ros authors
// SPDX-License-Identifier: Apache-2.0
// Draws the timeline of one recording, with the frame beside it. It uses what page.js declares.
"use strict";

// Return what lies between first and last of the spans, and what none of them covers.
function extent(spans) {
  const gaps = [];
  let end = Infinity;
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    if (from > end) gaps.push([end, from]);
    end = end === Infinity ? to : Math.max(end, to);
  }
  const begin = Math.min(...spans.map((span) => span[0]));
  return { begin, end, gaps, length: Math.max(end - begin, 1e-3) };
}

// Draw a line for each stream, in one color after the other. `first` is the number of its first frame.
function streamLines(section) {
  return section.starts.map((first, stream) => {
    const stop = section.starts[stream + 1], role = ["accent", "answer"][stream % 2];
    return {
      x: section.times.slice(first, stop), y: section.probabilities.slice(first, stop), first, mode: "lines",
      name: "speak probability", hoverinfo: "none",
      line: { color: color(role), width: 1.4, shape: "hv" }, fill: "tozeroy", fillcolor: color(role) + "22",
    };
  });
}

// Draw thresholds, what was not watched, and where streams begin.
function shapesOf(section, { gaps }) {
  const across = section.lines.map((y) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: color("false"), width: 1.2, dash: "dot" },
  }));
  const upright = { yref: "paper", y0: 0, y1: 1, layer: "below" };
  const unseen = gaps.map(([x0, x1]) => ({ type: "rect", x0, x1, ...upright, fillcolor: color("soft") + "26", line: { width: 0 } }));
  const borders = section.spans.slice(1).map(([x]) => ({
    type: "line", x0: x, x1: x, ...upright, line: { color: color("soft"), width: 1.3, dash: "dash" },
  }));
  return [...unseen, ...borders, ...across];
}

function markTraces(marks) {
  const traces = [], links = { x: [], y: [] }, spans = { x: [], y: [] };
  for (const mark of marks) {
    const partner = marks[mark.partner ?? -1];
    if (partner) { links.x.push(mark.time, partner.time, null); links.y.push(mark.lane, partner.lane, null); }
    if (mark.end) { spans.x.push(mark.time, mark.end, null); spans.y.push(mark.lane, mark.lane, null); }
  }
  const line = { yaxis: "y2", mode: "lines", hoverinfo: "skip" };
  if (links.x.length) traces.push({ ...links, ...line, line: { color: color("line"), width: 1.5 } });
  if (spans.x.length) traces.push({ ...spans, ...line, name: "spans", line: { color: color("soft"), width: 7 }, opacity: 0.5 });
  const groups = new Map();
  marks.forEach((mark, index) => groups.set(mark.outcome, [...(groups.get(mark.outcome) || []), index]));
  for (const [outcome, members] of groups) {
    const name = kind(outcome), symbol = SHAPES[name] || "circle";
    traces.push({
      x: members.map((i) => marks[i].time), y: members.map((i) => marks[i].lane), customdata: members, yaxis: "y2",
      mode: "markers", hoverinfo: "none", name: words(outcome),
      marker: { symbol, size: 11, color: color(name), line: { width: symbol.endsWith("thin") ? 2.4 : 0, color: color(name) } },
    });
  }
  return traces;
}

function nearest(values, wanted) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i] - wanted) < Math.abs(values[best] - wanted)) best = i;
  return best;
}

// Make the panel that shows a frame, and what is known of it or of a mark.
function framePanel(section) {
  const image = element("img", { alt: "" }), caption = element("figcaption");
  const picture = element("figure", { class: "picture" }), about = element("div");
  const show = (frame, mark) => {
    const facts = [], { frames, jpegs } = section.pictures, known = section.times.length > 0;
    if (frames.length) {
      const index = nearest(frames, frame), time = section.times[frames[index]], off = time - section.times[frame];
      const other = frames[index] !== frame;
      if (!image.isConnected) picture.replaceChildren(image, caption);
      image.src = "data:image/jpeg;base64," + jpegs[index];
      image.alt = "The frame at " + seconds(time);
      caption.textContent = other ? `Another frame: ${clock(time)}, ${seconds(Math.abs(off))} ${off < 0 ? "before" : "after"}` : "Frame at " + clock(time);
      caption.className = other ? "other" : "";
    }
    if (mark) facts.push(element("div", {}, icon(mark.outcome), words(mark.outcome)), element("div", { class: "words", text: mark.text }));
    const fact = (text) => facts.push(element("div", { class: "facts", text }));
    const time = mark ? mark.time : section.times[frame];
    if (mark || known) fact(clock(time) + " (" + seconds(time) + ")");
    if (known) fact("speak probability " + section.probabilities[frame].toFixed(3));
    if (section.starts.length > 1) fact(`stream ${section.starts.filter((start) => start <= frame).length} of ${section.starts.length}`);
    if (mark && mark.facts) fact(mark.facts);
    about.replaceChildren(...facts);
  };
  return { show, panel: element("div", { class: "frame", "aria-live": "polite" }, picture, about) };
}

function timeline(section) {
  const plot = element("div", { class: "plot", id: "timeline" }), buttons = element("div", { class: "buttons" });
  const marks = section.marks; // {lane, time, end, text, outcome, frame, facts, partner}
  const lanes = [...new Set(marks.map((mark) => mark.lane))], whole = extent(section.spans);
  const { show, panel } = framePanel(section);
  const margin = 0.01 * whole.length, all = [whole.begin - margin, whole.end + margin];
  let pinned = false;

  const build = () => {
    const top = lanes.length, share = 0.11 * Math.max(top, 1) + 0.02;
    // A mark may lie outside of what was watched. One can go there all the same.
    const far = marks.reduce(([low, high], { time, end }) => [Math.min(low, time), Math.max(high, end ?? time)], all);
    const layout = {
      height: 330 + 34 * top, dragmode: "pan", hovermode: "closest", hoverdistance: 24, uirevision: "kept",
      shapes: shapesOf(section, whole),
      xaxis: axis("seconds since the first image", { automargin: false, range: all, minallowed: far[0] - 4 * margin - 1, maxallowed: far[1] + 4 * margin + 1 }),
      yaxis: axis("speak probability", { automargin: false, range: [-0.02, 1.04], fixedrange: true, domain: [0, top ? 1 - share - 0.04 : 1] }),
      margin: { l: 74, r: 10, t: 6, b: 40 }, // fixed: automargin draws everything twice
    };
    if (top) layout.yaxis2 = axis("", { automargin: false, type: "category", categoryarray: [...lanes].reverse(), fixedrange: true, domain: [1 - share, 1], range: [-0.6, top - 0.4] });
    return { traces: [...streamLines(section), ...markTraces(marks)], layout };
  };

  const zoom = (begin, end) => Plotly.relayout(plot, { "xaxis.range": [begin, end] });
  const around = (time, width) => zoom(time - width / 2, time + width / 2);
  for (const [label, width] of [["all", 0], ["10 min", 600], ["2 min", 120], ["30 s", 30]]) {
    if (width > whole.length) continue;
    const button = element("button", { type: "button", text: label });
    button.addEventListener("click", () => {
      const [low, high] = plot._fullLayout.xaxis.range;
      if (width) around((low + high) / 2, width); else zoom(...all);
    });
    buttons.append(button);
  }
  const columns = ["time", "lane", "outcome", "text"];
  const row = (mark) => {
    const text = cell("text", "", element("div", { text: mark.text }));
    if (mark.facts) text.append(element("div", { class: "facts", text: mark.facts }));
    const made = element("tr", { class: "link", tabindex: "0", "data-lane": mark.lane }, cell("number", "time", seconds(mark.time)),
      cell("", "lane", mark.lane), cell("state", "outcome", icon(mark.outcome), words(mark.outcome)), text);
    const go = () => { around(mark.time, Math.min(30, whole.length)).then(() => { pinned = true; }); show(mark.frame, mark); };
    made.addEventListener("click", go);
    made.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
    return made;
  };
  const listed = [...marks].sort((a, b) => a.time - b.time);
  const table = element("table", { id: "marks" },
    element("thead", {}, element("tr", {}, ...columns.map((text, i) => element("th", { text, class: i ? "" : "number" })))), element("tbody"));
  requestAnimationFrame(() => drawn(plot, build).then(() => {
    const pointed = (event) => {
      const point = event.points.find((each) => each.customdata !== undefined) || event.points[0], mark = marks[point.customdata];
      show(mark ? mark.frame : point.data.first + point.pointNumber, mark);
    };
    plot.on("plotly_hover", (event) => { if (!pinned) pointed(event); });
    plot.on("plotly_click", (event) => { pinned = true; pointed(event); });
    plot.on("plotly_relayout", () => { pinned = false; });
    plot.addEventListener("mousemove", (event) => {
      if (pinned || !plot._fullLayout || !section.times.length) return;
      const x = plot._fullLayout.xaxis, time = x.p2d(event.clientX - plot.getBoundingClientRect().left - x._offset);
      const watched = section.spans.some(([begin, end]) => time >= begin && time <= end);
      if (watched && !document.querySelector("#timeline .hoverlayer .hovertext")) show(nearest(section.times, time));
    });
    const first = listed.find((mark) => mark.lane === "said") || listed[0];
    if (first) show(first.frame, first); else if (section.times.length) show(0);
    document.body.dataset.ready = "true"; // from here on it can be used; the rest follows
    later.push(() => { table.tBodies[0].append(...listed.map(row)); if (table.isConnected) fit(table.parentElement); });
    drawTheRest();
  }));
  const legend = element("ul", { class: "legend" }, ...[...new Set(marks.map((mark) => mark.outcome))].map((outcome) =>
    element("li", {}, icon(outcome), words(outcome))));
  const made = document.createDocumentFragment();
  made.append(card(section, buttons, element("div", { class: "timeline" }, element("div", { class: "plot" }, plot, legend), panel)));
  if (listed.length) made.append(card({ title: "Everything in order", hint: "Click a row to go there." }, fitted(table, true)));
  return made;
}
