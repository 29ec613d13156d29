// Which rows and columns are shown, of one table and one of its views, and in what order.
// SPDX-License-Identifier: MIT
const palette = 8;

/** Not a bound, nor one that keeps more than was asked. */
function ranked(row) {
  return /^\d+$/.test(row.rank);
}

/** What a person has chosen; a table's views share it, as far as they have the same rows. */
function initialState(table) {
  const state = {
    view: 0, search: "", budgets: new Set(), passes: new Set(), calibrated: "", published: false,
    columns: new Set(["mean", "against", "gap", "at"]), sort: { key: "mean", up: true }, shown: [], open: new Set(),
  };
  for (const view of table.views) for (const group of view.groups) {
    state.budgets.add(group.budgets);
    state.passes.add(group.passes);
  }
  state.shown = toBeginWith(table.views[0]);
  return state;
}

/** The rows that charts show at first: the bound, the best of each class, random, and what is not published. */
function toBeginWith(view) {
  const names = [];
  const add = (row) => row && !names.includes(row.scorer) && names.length < palette && names.push(row.scorer);
  for (const group of view.groups) {
    add(group.rows.find((row) => row.scorer === "oracle"));
    add(group.rows.find((row) => row.published && ranked(row)));
    add(group.rows.find((row) => !row.published && ranked(row)));
    add(group.rows.find((row) => /^random/.test(row.scorer)));
  }
  for (const row of view.groups[0].rows.filter((each) => each.published).slice(0, 3)) add(row);
  return names;
}

function colour(state, scorer) {
  const place = state.shown.indexOf(scorer);
  return place < 0 ? null : `var(--c${place % palette})`;
}

function wanted(table, state, group, row) {
  const scorer = table.scorers[row.scorer] ?? {};
  if (!state.budgets.has(group.budgets) || !state.passes.has(group.passes)) return false;
  if (state.published && !row.published && row.rank !== "bound") return false;
  if (state.calibrated && scorer.class && String(scorer.class.calibrated) !== state.calibrated) return false;
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [row.scorer, scorer.description, scorer.class?.reads, ...(scorer.columns ?? [])].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function sortValue(table, key, row) {
  const [what, index] = key.split(":");
  if (what === "scorer") return row.scorer;
  if (what === "reads") return table.scorers[row.scorer]?.class?.reads;
  if (what === "us") return table.scorers[row.scorer]?.cost?.microseconds;
  if (what === "at") return row.at?.[index]?.[0];
  if (what === "ratio") return row.against_at?.[index]?.[0];
  if (what === "gap") return row.gap === null || row.gap === undefined ? undefined : -row.gap;
  if (what === "kind") return row.kinds?.[index];
  return row[what]?.[0];
}

/** The groups with the rows that are wanted, each sorted by itself: ranks are those of a group. */
function chosen(table, state) {
  const value = (row) => sortValue(table, state.sort.key, row) ?? undefined;
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    return (x < y ? -1 : x > y ? 1 : 0) * (state.sort.up ? 1 : -1);
  };
  return table.views[state.view].groups
    .map((group) => ({ ...group, rows: group.rows.filter((row) => wanted(table, state, group, row)).sort(order) }))
    .filter((group) => group.rows.length > 0);
}

/** The table's columns: key, title, whether it is text, and the cell of a row as nodes or texts. */
function columnsOf(table, state) {
  const view = table.views[state.view];
  const rows = view.groups.flatMap((group) => group.rows);
  const ratio = view.against === "ratio";
  const signed = (value) => (value > 0 ? "+" : "") + number(value);
  const twoDigits = (value) => value.toFixed(2);
  const scorer = (row) => table.scorers[row.scorer] ?? {};
  const against = (figure, win) => [
    ...estimateCell(figure, ratio ? twoDigits : signed), ...(win ? [element("span", { class: "win" }, " win")] : []),
  ];
  const optional = [
    { set: "reads", title: "reads", text: true, cell: (row) => [scorer(row).class?.reads ?? ""] },
    { set: "mean", title: ratio ? "geometric mean" : "mean", cell: (row) => estimateCell(row.mean) },
    { set: "against", title: ratio ? "ratio to best published" : "minus best published", cell: (row) => against(row.against, row.win) },
    { set: "gap", title: "gap closed", cell: (row) => [percent(row.gap)] },
    ...view.names.map((name, i) => ({ set: "at", key: `at:${i}`, title: `at ${name}`, cell: (row) => [number(row.at?.[i]?.[0])] })),
    ...view.names.map((name, i) => ({
      set: "ratio", key: `ratio:${i}`, title: `ratio at ${name}`, cell: (row) => against(row.against_at?.[i], row.win_at?.[i]),
    })),
    { set: "us", title: "us a token and layer", cell: (row) => [scorer(row).cost ? scorer(row).cost.microseconds.toPrecision(3) : ""] },
  ];
  const has = {
    reads: rows.some((row) => scorer(row).class), us: rows.some((row) => scorer(row).cost),
    against: rows.some((row) => row.against), gap: rows.some((row) => typeof row.gap === "number"),
    ratio: rows.some((row) => row.against_at), mean: true, at: true,
  };
  return optional.filter((column) => has[column.set]).map((column) => ({ key: column.set, ...column }));
}
