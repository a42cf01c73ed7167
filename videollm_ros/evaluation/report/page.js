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
  answer: "hexagram", missed: "x-thin", said: "circle", held_back: "circle-open", asked: "triangle-down", unanswered: "cross-thin",
};
const SVG = { // the same shapes for legends and tables, in a box of 13
  circle: "M6.5 1.5a5 5 0 1 0 .01 0z", "triangle-right": "M2.5 1.5 11.5 6.5 2.5 11.5z",
  "triangle-left": "M10.5 1.5 1.5 6.5 10.5 11.5z", square: "M2 2h9v9H2z", diamond: "M6.5 .8 12.2 6.5 6.5 12.2 .8 6.5z",
  x: "M3 1 6.5 4.5 10 1 12 3 8.5 6.5 12 10 10 12 6.5 8.5 3 12 1 10 4.5 6.5 1 3z",
  "x-thin": "M2 3 3 2 6.5 5.5 10 2 11 3 7.5 6.5 11 10 10 11 6.5 7.5 3 11 2 10 5.5 6.5z",
  "triangle-down": "M1.5 2.5h10L6.5 11.5z", "cross-thin": "M5.8 1h1.4v4.8H12v1.4H7.2V12H5.8V7.2H1V5.8h4.8z",
  hexagram: "M6.5 .5 8.4 3.3 11.9 3.5 10.2 6.5 11.9 9.5 8.4 9.7 6.5 12.5 4.6 9.7 1.1 9.5 2.8 6.5 1.1 3.5 4.6 3.3z",
};
const kind = (outcome) => (outcome.startsWith("wrong") ? "wrong" : outcome);
const words = (name) => name.replaceAll("_", " ");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const seconds = (time) => time.toFixed(2) + " s";
const clock = (time) => {
  const cents = Math.round(Math.abs(time) * 100), whole = Math.floor(cents / 100), pad = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), rest = pad(Math.floor(whole / 60) % 60) + ":" + pad(whole % 60);
  return (time < 0 && cents ? "-" : "") + (hours ? hours + ":" : "") + rest + "." + pad(cents % 100);
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

const cell = (kind, label, ...children) => element("td", { class: kind, "data-label": label }, ...children);

// A table that is wider than its box is stacked: each row becomes a block, and each cell says its column.
const widths = new ResizeObserver((entries) => {
  for (const { target: box } of entries) {
    if (box.dataset.width === String(box.clientWidth)) continue;
    fit(box);
  }
});

function fit(box) {
  const table = box.firstChild;
  table.classList.remove("stacked");
  table.classList.toggle("stacked", box.scrollWidth > box.clientWidth + 1);
  box.dataset.width = box.clientWidth;
}

function fitted(table, tall) {
  const box = element("div", { class: "scroll" + (tall ? " tall" : "") }, table);
  widths.observe(box);
  return box;
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
    const labels = section.columns.map((column) => column.label);
    const rows = section.rows.map((row) => element("tr", {}, ...row.map((value, index) => {
      const column = section.columns[index], made = cell(column.number ? "number" : column.text ? "text" : "", labels[index]);
      if (column.outcome && value) made.append(icon(value), words(value));
      else if (value && value.href) made.append(element("a", { href: value.href, text: value.text }));
      else made.append(value ?? "–");
      return made;
    })));
    const head = element("tr", {}, ...section.columns.map((c) => element("th", { text: c.label, class: c.number ? "number" : "" })));
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    return card(section, fitted(table, rows.length > 30));
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
