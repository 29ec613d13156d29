// Elements and numbers. Texts come into the page as text alone: nothing here takes markup.
// SPDX-License-Identifier: MIT
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "checked" || name === "value") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Four digits, as the tables of a terminal have them. */
function number(value) {
  if (value === null || value === undefined) return "n/a";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-4 ? value.toExponential(2) : size >= 100 ? value.toFixed(1) : value.toFixed(4);
}

function percent(share) {
  return share === null || share === undefined ? "n/a" : `${share >= 0 ? "+" : "-"}${Math.abs(100 * share).toFixed(1)} %`;
}

/** Of [value], [value, low, high] or null. */
function estimate(figure, show = number) {
  if (!figure) return "n/a";
  const [value, low, high] = figure;
  return low === undefined ? show(value) : `${show(value)} [${show(low)}, ${show(high)}]`;
}

function estimateCell(figure, show = number) {
  if (!figure) return ["n/a"];
  const [value, low, high] = figure;
  if (low === undefined) return [show(value)];
  return [show(value), element("span", { class: "interval" }, ` [${show(low)}, ${show(high)}]`)];
}

function list(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}
