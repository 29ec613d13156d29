// Which parts of a formula its change left, took away and brought: the longest common sequence of their parts.
// SPDX-License-Identifier: MIT
function partsOf(formula) {
  return formula.match(/[A-Za-z_][\w:.]*|[\d.]+(?:e[-+]?\d+)?|\s+|./gi) ?? [];
}

/** [["same" | "gone" | "new", text], ...] */
function difference(before, after) {
  const [a, b] = [partsOf(before), partsOf(after)];
  if (a.length * b.length > 4e6) return [["gone", before], ["new", after]];
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; --i) for (let j = b.length - 1; j >= 0; --j)
    longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
  const pieces = [];
  const add = (kind, text) => {
    if (pieces.length > 0 && pieces[pieces.length - 1][0] === kind) pieces[pieces.length - 1][1] += text;
    else pieces.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { add("same", a[i]); ++i; ++j; }
    else if (j === b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) add("gone", a[i++]);
    else add("new", b[j++]);
  }
  return pieces;
}

function differenceElement(before, after) {
  const tags = { same: "span", gone: "del", new: "ins" };
  return element("pre", {}, element("code", {}, ...difference(before, after).map(([kind, text]) => element(tags[kind], {}, text))));
}
