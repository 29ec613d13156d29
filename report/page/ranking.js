// The ranking: a table of all rows that are wanted, class after class.
// SPDX-License-Identifier: MIT
function details(table, row, width) {
  const scorer = table.scorers[row.scorer] ?? {};
  const parts = element("dl");
  const add = (term, ...content) => parts.append(element("dt", {}, term), element("dd", {}, ...content));
  if (scorer.description) add("rule", scorer.description);
  if (scorer.reference) add("source", scorer.reference);
  if (scorer.in_words) add("class", scorer.in_words);
  if (scorer.formula) add("formula", element("pre", {}, element("code", {}, scorer.formula)));
  if (scorer.shown) add("simplified", element("pre", {}, element("code", {}, scorer.shown)));
  for (const column of scorer.columns ?? []) add(element("code", {}, column), page.columns[column] ?? "");
  if (scorer.retention_used)
    add("share kept", scorer.retention_used.map((used, i) => `${(used * 100).toFixed(1)} % of ${table.views[0].names[i]}`).join(", "));
  if (scorer.command) add("command", element("code", {}, scorer.command));
  if (scorer.sources) add("figures from", scorer.sources.join(", "));
  if (scorer.cost) add("timed on", scorer.cost.measured_on);
  return element("tr", { class: "details" }, element("td", { colspan: width }, parts));
}

function rowElements(table, state, columns, row, redraw) {
  const open = state.open.has(row.scorer);
  const mark = colour(state, row.scorer);
  const toggle = () => {
    open ? state.open.delete(row.scorer) : state.open.add(row.scorer);
    redraw(`open ${row.scorer}`);
  };
  const show = () => {
    state.shown = mark ? state.shown.filter((name) => name !== row.scorer) : [...state.shown, row.scorer].slice(-palette);
    redraw(`show ${row.scorer}`);
  };
  const line = element("tr", { class: row.rank === "bound" ? "bound" : row.published ? "published" : "ours" },
    element("td", {}, row.rank),
    element("td", { class: "text" },
      element("button", { "aria-expanded": String(open), "aria-label": `details of ${row.scorer}`, "data-focus": `open ${row.scorer}`, onclick: toggle }, open ? "-" : "+"),
      " ", element("span", { class: "name" }, row.scorer)),
    element("td", {},
      mark ? element("span", { class: "swatch", style: `background:${mark}` }) : null,
      element("input", { type: "checkbox", checked: Boolean(mark), "aria-label": `show ${row.scorer} in the charts`, "data-focus": `show ${row.scorer}`, onchange: show })),
    ...columns.map((column) => element("td", { class: column.text ? "text" : null }, ...column.cell(row))));
  return open ? [line, details(table, row, columns.length + 3)] : [line];
}

function headCell(state, column, redraw) {
  const sorted = state.sort.key === column.key;
  const sort = () => {
    state.sort = { key: column.key, up: sorted ? !state.sort.up : true };
    redraw(`sort ${column.key}`);
  };
  return element("th", { scope: "col", class: column.text ? "text" : null, "aria-sort": sorted ? (state.sort.up ? "ascending" : "descending") : null },
    element("button", { "data-focus": `sort ${column.key}`, onclick: sort }, column.title, sorted ? (state.sort.up ? " \u2191" : " \u2193") : ""));
}

function ranking(table, state, redraw) {
  const view = table.views[state.view];
  const groups = chosen(table, state);
  const columns = columnsOf(table, state).filter((column) => column.set === "reads" || state.columns.has(column.set));
  const head = element("thead", {}, element("tr", {},
    element("th", { scope: "col" }, "rank"), headCell(state, { key: "scorer", title: "scorer", text: true }, redraw),
    element("th", { scope: "col" }, "charts"), ...columns.map((column) => headCell(state, column, redraw))));
  const bodies = groups.map((group) => element("tbody", {},
    element("tr", { class: "class" }, element("th", { colspan: columns.length + 3, scope: "rowgroup" },
      group.title, group.best ? `; best published: ${group.best}` : "")),
    ...group.rows.flatMap((row) => rowElements(table, state, columns, row, redraw))));
  const count = groups.reduce((sum, group) => sum + group.rows.length, 0);
  const all = view.groups.reduce((sum, group) => sum + group.rows.length, 0);
  return [
    element("h2", {}, "Ranking"),
    element("div", { class: "scroll" }, element("table", {},
      element("caption", { "aria-live": "polite" }, `${count} of ${all} rows. ${view.title}: ${view.meaning}; lower is better; ${view.mean}.`),
      head, ...bodies)),
  ];
}

/** Rank of each row among its class by kind of document, the lowest figure first. */
function kindRanks(table, state) {
  const view = table.views[state.view];
  const kinds = [...new Set(view.groups.flatMap((group) => group.rows.flatMap((row) => Object.keys(row.kinds ?? {}))))];
  if (kinds.length === 0) return [];
  const body = chosen(table, state).map((group) => {
    const whole = view.groups.find((each) => each.title === group.title).rows.filter((row) => ranked(row));
    const rank = (row, kind) => whole.filter((other) => (other.kinds?.[kind] ?? Infinity) < row.kinds[kind]).length + 1;
    const cell = (row, kind) => {
      if (row.kinds?.[kind] === undefined || !whole.includes(row)) return element("td", {}, "");
      const place = rank(row, kind);
      return element("td", { class: "heat", style: `--heat:${Math.round(45 * (1 - (place - 1) / whole.length))}%`, title: `${kind}: ${number(row.kinds[kind])}` }, String(place));
    };
    return element("tbody", {},
      element("tr", { class: "class" }, element("th", { colspan: kinds.length + 1, scope: "rowgroup" }, group.title)),
      ...group.rows.filter((row) => row.kinds && whole.includes(row)).map((row) => element("tr", {},
        element("td", { class: "text" }, element("span", { class: "name" }, row.scorer)), ...kinds.map((kind) => cell(row, kind)))));
  });
  return [
    element("h2", {}, "Rank by kind of document"),
    element("div", { class: "scroll" }, element("table", {},
      element("caption", {}, `Place of each row in its class by ${view.title}, one kind of document at a time; the figure itself when pointed at. A kind of one or two documents says little.`),
      element("thead", {}, element("tr", {}, element("th", { class: "text" }, "scorer"), ...kinds.map((kind) => element("th", { scope: "col" }, kind)))),
      ...body)),
  ];
}
