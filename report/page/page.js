// What a person chooses, and drawing all of it again.
// SPDX-License-Identifier: MIT
const page = JSON.parse(document.getElementById("data").textContent);
const states = page.tables.map((table) => (table.views.length > 0 ? initialState(table) : null));
let current = states.findIndex(Boolean);

const place = (id) => document.getElementById(id);

function boxes(name, values, set, redraw) {
  return element("fieldset", {}, element("legend", {}, name), ...values.map(([value, title]) => element("label", {},
    element("input", {
      type: "checkbox", checked: set.has(value), "data-focus": `${name} ${value}`,
      onchange: () => { set.has(value) ? set.delete(value) : set.add(value); redraw(`${name} ${value}`); },
    }), ` ${title}`)));
}

function controls(table, state, redraw) {
  const groups = table.views.flatMap((view) => view.groups);
  const budgets = [...new Set(groups.map((group) => group.budgets))];
  const passes = [...new Set(groups.map((group) => group.passes))];
  const optional = new Map([["mean", "mean"], ["against", "against best published"], ["gap", "gap closed"], ["at", "by retention"], ["ratio", "ratios by retention"], ["us", "cost"]]);
  const there = new Set(columnsOf(table, state).map((column) => column.set));
  const views = element("select", { "aria-label": "figure", "data-focus": "view", onchange: (event) => { state.view = Number(event.target.value); redraw("view"); } },
    ...table.views.map((view, i) => element("option", { value: i, selected: i === state.view }, view.title)));
  const calibrated = element("select", { "aria-label": "calibrated or not", "data-focus": "calibrated", onchange: (event) => { state.calibrated = event.target.value; redraw("calibrated"); } },
    ...[["", "calibrated or not"], ["false", "not calibrated"], ["true", "calibrated"]].map(([value, title]) => element("option", { value, selected: value === state.calibrated }, title)));
  return [
    element("label", {}, "Figure: ", views),
    element("label", {}, "Search: ", element("input", {
      type: "search", value: state.search, "data-focus": "search", placeholder: "scorer, column, word",
      oninput: (event) => { state.search = event.target.value; redraw("search"); },
    })),
    budgets.length > 1 ? boxes("Budgets", budgets.map((each) => [each, each]), state.budgets, redraw) : null,
    passes.length > 1 ? boxes("Passes", passes.map((each) => [each, String(each)]), state.passes, redraw) : null,
    calibrated,
    element("label", {}, element("input", {
      type: "checkbox", checked: state.published, "data-focus": "published", onchange: () => { state.published = !state.published; redraw("published"); },
    }), " published alone"),
    boxes("Columns", [...optional].filter(([set]) => there.has(set)), state.columns, redraw),
  ].filter(Boolean);
}

function about(table, state) {
  const view = table.views[state.view];
  const parts = [element("h2", {}, `Suite ${table.suite}, protocol ${view.protocol ?? table.protocol}`)];
  const say = (text) => text && parts.push(element("p", { class: "note" }, text));
  say(table.note.replaceAll("`", ""));
  if (table.cut) say(table.cut);
  if (table.captured) {
    const few = view.documents < 6 ? " Too few to tell rows apart: no row is called a win." : " In brackets: 95 % intervals of a paired bootstrap over documents; win: all of the interval is on the better side.";
    say(`${view.documents} ${view.documents === 1 ? "document" : "documents"} of the split ${table.split}.${view.documents > 1 || view.documents === 0 ? few : " One document says nothing about others."}`);
  }
  if (table.left_out.length > 0)
    say(`Left out of all means: ${table.left_out.map((each) => `${each.name} (${each.why})`).join("; ")}.`);
  say(table.near_ranks && `Ranks ${table.near_ranks}: nearer than 2 %, by which figures of traces stored as I8 move.`);
  say(table.sharing);
  for (const failure of table.failures ?? []) say(`No row, as it broke: ${failure.plugin} in ${failure.phase}: ${failure.cause}`);
  for (const run of table.runs ?? []) say(`Run ${run.file}, champion ${run.champion}: ${run.command}`);
  say(table.hash && `Suite ${table.suite}, ${table.hash}.`);
  return parts;
}

function draw(focus) {
  const table = page.tables[current];
  const state = states[current];
  const redraw = (what) => draw(what);
  place("tables").replaceChildren(...page.tables.map((each, i) => element("button", {
    "aria-current": String(i === current), "data-focus": `table ${i}`, onclick: () => { current = i; draw(`table ${i}`); },
  }, `${each.suite} (${each.protocol})`)));
  const search = place("controls").querySelector("[type=search]");
  const caret = focus === "search" && search ? search.selectionStart : null;
  place("controls").replaceChildren(...controls(table, state, redraw));
  place("about").replaceChildren(...about(table, state));
  place("table").replaceChildren(...ranking(table, state, redraw));
  place("charts").replaceChildren(...[againstRetention, costAgainstQuality, oracleGap].map((chart) => chart(table, state)).filter(Boolean));
  place("kinds").replaceChildren(...kindRanks(table, state));
  const focused = focus && [...document.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === focus);
  if (focused) focused.focus({ preventScroll: true });
  if (focused && caret !== null) focused.setSelectionRange(caret, caret);
}

draw();
