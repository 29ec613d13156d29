// What all charts share; they are drawn by Observable Plot.
// SPDX-License-Identifier: MIT
const logTick = (value) => (/^[125]/.test(value.toExponential()) ? String(+value.toPrecision(3)) : "");
const frame = { width: 640, height: 400, style: { background: "transparent", color: "inherit", fontSize: "12px" } };

function figure(title, caption, chart) {
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", title);
  return element("figure", {}, element("h2", {}, title), chart, element("figcaption", {}, caption));
}

function shortened(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}\u2026`;
}
