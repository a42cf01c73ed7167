// Copyright 2026 The videollm_ros authors
// SPDX-License-Identifier: Apache-2.0
// Draws the sections of a report. Every text from outside goes through textContent or `plain`.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const plots = []; // functions that draw a plot anew, for a change between light and dark
const later = []; // what is drawn once the timeline can be used

const SHAPES = {
  matched: "circle", late: "triangle-right", early: "triangle-left", repeated: "square", wrong: "x", false: "diamond",
  answer: "hexagram", missed: "x-thin", said: "circle", held_back: "circle-open",
};
const SVG = { // the same shapes for legends and tables, in a box of 13
  circle: "M6.5 1.5a5 5 0 1 0 .01 0z", "triangle-right": "M2.5 1.5 11.5 6.5 2.5 11.5z",
  "triangle-left": "M10.5 1.5 1.5 6.5 10.5 11.5z", square: "M2 2h9v9H2z", diamond: "M6.5 .8 12.2 6.5 6.5 12.2 .8 6.5z",
  x: "M3 1 6.5 4.5 10 1 12 3 8.5 6.5 12 10 10 12 6.5 8.5 3 12 1 10 4.5 6.5 1 3z",
  "x-thin": "M2 3 3 2 6.5 5.5 10 2 11 3 7.5 6.5 11 10 10 11 6.5 7.5 3 11 2 10 5.5 6.5z",
  hexagram: "M6.5 .5 8.4 3.3 11.9 3.5 10.2 6.5 11.9 9.5 8.4 9.7 6.5 12.5 4.6 9.7 1.1 9.5 2.8 6.5 1.1 3.5 4.6 3.3z",
};
const kind = (outcome) => (outcome.startsWith("wrong") ? "wrong" : outcome);
const words = (name) => name.replaceAll("_", " ");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const seconds = (time) => time.toFixed(2) + " s";
const clock = (time) => {
  const whole = Math.floor(time), pad = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), rest = pad(Math.floor(whole / 60) % 60) + ":" + pad(whole % 60);
  return (hours ? hours + ":" : "") + rest + (time - whole).toFixed(2).slice(1);
};

function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function icon(outcome) {
  const name = kind(outcome), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 13 13");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SVG[SHAPES[name] || "circle"]);
  path.style.fill = `var(--${name})`;
  svg.append(path);
  return svg;
}

function card(section, ...children) {
  const made = element("section", { class: section.bare ? "bare" : "" });
  if (section.title) made.append(element("h2", { text: section.title }));
  if (section.hint) made.append(element("p", { class: "hint", text: section.hint }));
  made.append(...children);
  return made;
}

function drawn(div, build) {
  const draw = () => {
    const { traces, layout } = build();
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, margin: { l: 52, r: 12, t: 8, b: 40 },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("soft") },
      hoverlabel: { bgcolor: color("card"), bordercolor: color("line"), font: { color: color("ink") } },
    };
    return Plotly.react(div, traces, { ...base, ...layout }, {
      scrollZoom: !!layout.dragmode, displayModeBar: false, responsive: true,
    });
  };
  plots.push(draw);
  return draw();
}

const axis = (title, more = {}) => ({
  title: { text: title, standoff: 6 }, gridcolor: color("grid"), linecolor: color("line"), zerolinecolor: color("line"),
  automargin: true, ...more,
});

const sections = {
  heading(section) {
    const made = element("header", {}, element("h1", { text: section.title }), element("p", { class: "subtitle", text: section.text }));
    for (const note of section.notes || []) made.append(element("p", { class: "note", text: note }));
    return made;
  },

  tiles(section) {
    const tiles = section.tiles.map((tile) => element("div", { class: "tile" },
      element("div", { class: "label", text: tile.label }), element("div", { class: "value", text: tile.value }),
      ...(tile.small ? [element("div", { class: "small", text: tile.small })] : [])));
    return card({ ...section, bare: true }, element("div", { class: "tiles" }, ...tiles));
  },

  table(section) {
    const head = element("tr", {}, ...section.columns.map((c) => element("th", { text: c.label, class: c.number ? "number" : "" })));
    const rows = section.rows.map((row) => {
      const cells = row.map((value, index) => {
        const column = section.columns[index], cell = element("td", { class: column.number ? "number" : column.text ? "text" : "" });
        if (column.outcome && value) cell.append(icon(value), words(value));
        else if (value && value.href) cell.append(element("a", { href: value.href, text: value.text }));
        else cell.textContent = value ?? "–";
        return cell;
      });
      return element("tr", {}, ...cells);
    });
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    return card(section, element("div", { class: "scroll" + (rows.length > 30 ? " tall" : "") }, table));
  },

  plot(section) {
    const div = element("div", { class: "plot" });
    later.push(() => drawn(div, () => {
      const traces = section.traces.map((trace) => {
        const painted = structuredClone(trace);
        for (const part of [painted.marker, painted.line, painted.marker && painted.marker.line]) {
          if (part && part.role) part.color = color(part.role);
        }
        return painted;
      });
      return { traces, layout: { height: 300, xaxis: axis(section.x, section.xaxis), yaxis: axis(section.y, section.yaxis), ...section.layout } };
    }));
    return card(section, div);
  },

  pair(section) {
    return element("div", { class: "pair" }, ...section.sections.map((each) => sections[each.type](each)));
  },

  facts(section) {
    const list = element("dl");
    for (const [name, value] of section.facts) list.append(element("dt", { text: name }), element("dd", { text: value }));
    return card({ bare: false }, element("details", {}, element("summary", { text: section.title }), list));
  },

  timeline,
};

function timeline(section) {
  const plot = element("div", { class: "plot", id: "timeline" });
  const picture = element("div", { class: "picture" }), about = element("div");
  const frame = element("div", { class: "frame", "aria-live": "polite" }, picture, about);
  const buttons = element("div", { class: "buttons" });
  const lanes = [];
  const marks = section.marks; // {lane, time, end, text, outcome, facts}
  for (const mark of marks) if (!lanes.includes(mark.lane)) lanes.push(mark.lane);
  let pinned = false;

  const near = (times, time) => {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1; else high = middle;
    }
    return low > 0 && time - times[low - 1] < times[low] - time ? low - 1 : low;
  };
  const show = (time, mark) => {
    if (section.pictures.times.length) {
      const index = near(section.pictures.times, time);
      let image = picture.querySelector("img");
      if (!image) picture.replaceChildren(image = element("img", { alt: "" }));
      image.src = "data:image/jpeg;base64," + section.pictures.jpegs[index];
      image.alt = "The frame at " + seconds(section.pictures.times[index]);
    }
    const at = near(section.times, time), facts = [];
    facts.push(element("div", { class: "facts", text: clock(time) + " (" + seconds(time) + ")" }));
    facts.push(element("div", { class: "facts", text: "speak probability " + section.probabilities[at].toFixed(3) }));
    if (mark) {
      facts.unshift(element("div", {}, icon(mark.outcome), words(mark.outcome)), element("div", { class: "words", text: mark.text }));
      if (mark.facts) facts.push(element("div", { class: "facts", text: mark.facts }));
    }
    about.replaceChildren(...facts);
  };

  const build = () => {
    const top = lanes.length, share = 0.11 * Math.max(top, 1) + 0.02;
    const traces = [{
      x: section.times, y: section.probabilities, mode: "lines", name: "speak probability", hoverinfo: "none",
      line: { color: color("accent"), width: 1.4, shape: "hv" }, fill: "tozeroy", fillcolor: color("accent") + "22",
    }];
    const links = { x: [], y: [] };
    for (const mark of marks) if (mark.partner !== undefined && mark.partner !== null) {
      links.x.push(mark.time, marks[mark.partner].time, null);
      links.y.push(mark.lane, marks[mark.partner].lane, null);
    }
    if (links.x.length) traces.push({ ...links, yaxis: "y2", mode: "lines", hoverinfo: "skip", line: { color: color("line"), width: 1.5 } });
    const spans = { x: [], y: [] };
    for (const mark of marks) if (mark.end) { spans.x.push(mark.time, mark.end, null); spans.y.push(mark.lane, mark.lane, null); }
    if (spans.x.length) traces.push({ ...spans, yaxis: "y2", mode: "lines", hoverinfo: "skip", line: { color: color("soft"), width: 5 }, opacity: 0.35 });
    const groups = new Map();
    marks.forEach((mark, index) => groups.set(mark.outcome, [...(groups.get(mark.outcome) || []), index]));
    for (const [outcome, members] of groups) {
      const name = kind(outcome);
      traces.push({
        x: members.map((i) => marks[i].time), y: members.map((i) => marks[i].lane), customdata: members, yaxis: "y2",
        mode: "markers", hoverinfo: "none", name: words(outcome),
        marker: { symbol: SHAPES[name] || "circle", size: 11, color: color(name), line: { width: name === "missed" ? 2.4 : 0, color: color(name) } },
      });
    }
    const lines = section.lines.map((y) => ({
      type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: color("false"), width: 1.2, dash: "dot" },
    }));
    const layout = {
      height: 330 + 34 * top, dragmode: "pan", hovermode: "closest", hoverdistance: 24, shapes: lines, uirevision: "kept",
      xaxis: axis("seconds since the first image", { automargin: false, range: [-0.01 * section.seconds, 1.01 * section.seconds], minallowed: -0.05 * section.seconds - 1, maxallowed: 1.05 * section.seconds + 1 }),
      yaxis: axis("speak probability", { automargin: false, range: [-0.02, 1.04], fixedrange: true, domain: [0, top ? 1 - share - 0.04 : 1] }),
      margin: { l: 74, r: 10, t: 6, b: 40 }, // fixed: automargin draws everything twice
    };
    if (top) layout.yaxis2 = axis("", { automargin: false, type: "category", categoryarray: [...lanes].reverse(), fixedrange: true, domain: [1 - share, 1], range: [-0.6, top - 0.4] });
    return { traces, layout };
  };

  const zoom = (begin, end) => Plotly.relayout(plot, { "xaxis.range": [begin, end] });
  const around = (time, width) => zoom(time - width / 2, time + width / 2);
  for (const [label, width] of [["all", 0], ["10 min", 600], ["2 min", 120], ["30 s", 30]]) {
    if (width > section.seconds) continue;
    const button = element("button", { type: "button", text: label });
    button.addEventListener("click", () => {
      const [low, high] = plot._fullLayout.xaxis.range;
      if (width) around((low + high) / 2, width); else zoom(-0.01 * section.seconds, 1.01 * section.seconds);
    });
    buttons.append(button);
  }
  const listed = [...marks].map((mark, index) => ({ ...mark, index })).sort((a, b) => a.time - b.time);
  const row = (mark) => {
    const state = element("td", { class: "state" }), text = element("td", { class: "text" }, element("div", { text: mark.text }));
    if (mark.facts) text.append(element("div", { class: "facts", text: mark.facts }));
    state.append(icon(mark.outcome), words(mark.outcome));
    const made = element("tr", { class: "link", tabindex: "0", "data-lane": mark.lane },
      element("td", { class: "number", text: seconds(mark.time) }), element("td", { text: mark.lane }), state, text);
    const go = () => { around(mark.time, Math.min(30, section.seconds)); show(mark.time, mark); pinned = true; };
    made.addEventListener("click", go);
    made.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
    return made;
  };
  requestAnimationFrame(() => drawn(plot, build).then(() => {
    const pointed = (event) => {
      const point = event.points.find((each) => each.customdata !== undefined) || event.points[0];
      show(point.x, marks[point.customdata]);
    };
    plot.on("plotly_hover", (event) => { if (!pinned) pointed(event); });
    plot.on("plotly_click", (event) => { pinned = true; pointed(event); });
    plot.on("plotly_relayout", () => { pinned = false; });
    plot.addEventListener("mousemove", (event) => {
      if (pinned || !plot._fullLayout) return;
      const x = plot._fullLayout.xaxis, time = x.p2d(event.clientX - plot.getBoundingClientRect().left - x._offset);
      if (time >= 0 && time <= section.seconds && !document.querySelector("#timeline .hoverlayer .hovertext")) show(time);
    });
    const first = listed.find((mark) => mark.lane === "said") || listed[0];
    if (first) show(first.time, first); else if (section.times.length) show(section.times[0]);
    document.body.dataset.ready = "true"; // from here on it can be used; the rest follows
    later.push(() => table.tBodies[0].append(...listed.map(row)));
    drawTheRest();
  }));
  const legend = element("ul", { class: "legend" }, ...[...new Set(marks.map((mark) => mark.outcome))].map((outcome) =>
    element("li", {}, icon(outcome), words(outcome))));
  const head = element("tr", {}, ...["time", "lane", "", "text"].map((text, i) => element("th", { text, class: i ? "" : "number" })));
  const table = element("table", { id: "marks" }, element("thead", {}, head), element("tbody"));
  const made = document.createDocumentFragment();
  made.append(card(section, buttons, element("div", { class: "timeline" }, element("div", { class: "plot" }, plot, legend), frame)));
  if (listed.length) made.append(card({ title: "Everything in order", hint: "Click a row to go there." }, element("div", { class: "scroll tall" }, table)));
  return made;
}

function drawTheRest() {
  const next = later.shift();
  if (next) next();
  if (later.length) setTimeout(drawTheRest); else document.body.dataset.complete = "true";
}

for (const section of data.sections) page.append(sections[section.type](section));
if (!data.sections.some((section) => section.type === "timeline")) {
  document.body.dataset.ready = "true";
  requestAnimationFrame(drawTheRest);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((draw) => draw()));
