// Charts, by Observable Plot. What they show is in the table, too.
// SPDX-License-Identifier: MIT
/** One point a row and retention, of figures that a logarithm has. */
function points(table, state) {
  const view = table.views[state.view];
  return chosen(table, state).flatMap((group) => group.rows.flatMap((row) => (row.at ?? []).map((at, i) => ({
    scorer: row.scorer, colour: colour(state, row.scorer), retention: view.retentions[i], value: at?.[0], low: at?.[1], high: at?.[2],
    text: `${row.scorer}\n${group.title}\nat ${view.names[i]}: ${estimate(at)}`,
  })))).filter((point) => point.value > 0);
}

/** Names at the right end of their lines, moved apart by so many pixels at least; `pixel` maps a value to one. */
function apart(ends, pixel, least) {
  const labels = ends.map((point) => ({ ...point, pixel: pixel.apply(point.value) })).sort((a, b) => a.pixel - b.pixel);
  for (let i = 1; i < labels.length; ++i) labels[i].pixel = Math.max(labels[i].pixel, labels[i - 1].pixel + least);
  return labels.map((label) => ({ ...label, value: pixel.invert(label.pixel) }));
}

function againstRetention(table, state) {
  const view = table.views[state.view];
  const all = points(table, state);
  const marked = all.filter((point) => point.colour);
  const most = Math.max(...view.retentions);
  const options = {
    ...frame, marginRight: 190, marginLeft: 60,
    x: { label: "share of tokens kept", ticks: view.retentions, tickFormat: (value) => String(value) },
    y: { type: "log", label: view.title, grid: true, tickFormat: logTick },
  };
  const others = Plot.line(all.filter((point) => !point.colour), { x: "retention", y: "value", z: "scorer", stroke: "var(--band)", strokeOpacity: 0.45 });
  const dots = Plot.dot(all, { x: "retention", y: "value", r: 2.5, fill: (point) => point.colour ?? "var(--band)" });
  const ends = apart(marked.filter((point) => point.retention === most), Plot.plot({ ...options, marks: [dots] }).scale("y"), 13);
  return figure(`${view.title} against retention`,
    "Coloured: the rows whose box is ticked in the table, with 95 % intervals over documents where these are known; all others grey. Point at one to see it.",
    Plot.plot({
      ...options,
      marks: [
        others,
        Plot.ruleX(marked.filter((point) => point.low > 0), { x: "retention", y1: "low", y2: "high", stroke: "colour", strokeOpacity: 0.6 }),
        Plot.line(marked, { x: "retention", y: "value", z: "scorer", stroke: "colour", strokeWidth: 2 }),
        dots,
        Plot.text(ends, { x: "retention", y: "value", text: (point) => shortened(point.scorer, 26), textAnchor: "start", dx: 8, fill: "colour", clip: false }),
        Plot.tip(all, Plot.pointer({ x: "retention", y: "value", title: "text", fill: "var(--page)", stroke: "var(--line)" })),
      ],
    }));
}

function costAgainstQuality(table, state) {
  const view = table.views[state.view];
  const all = chosen(table, state).flatMap((group) => group.rows.map((row) => ({
    scorer: row.scorer, passes: group.passes, ranked: ranked(row), us: table.scorers[row.scorer]?.cost?.microseconds, value: row.mean?.[0],
    colour: colour(state, row.scorer) ?? "var(--band)",
    text: `${row.scorer}\n${group.title}\n${number(row.mean?.[0])}, ${table.scorers[row.scorer]?.cost?.microseconds?.toPrecision(3)} us a token and layer`,
  }))).filter((point) => point.us > 0 && point.value > 0);
  if (all.length < 2) return null;
  const front = [];
  for (const point of all.filter((each) => each.ranked).sort((a, b) => a.us - b.us || a.value - b.value))
    if (front.length === 0 || point.value < front[front.length - 1].value) front.push(point);
  const options = {
    ...frame, marginLeft: 60, marginRight: 60,
    x: { type: "log", label: "us a token and layer", tickFormat: logTick },
    y: { type: "log", label: view.title, grid: true, tickFormat: logTick },
  };
  const dots = Plot.dot(all, { x: "us", y: "value", r: 4, fill: (point) => (point.passes === 2 ? "none" : point.colour), stroke: "colour" });
  const scales = Plot.plot({ ...options, marks: [dots] });
  const labels = apart(front.map((point) => ({ ...point, late: scales.scale("x").apply(point.us) > frame.width / 2 })), scales.scale("y"), 13);
  const name = (late) => Plot.text(labels.filter((point) => point.late === late), {
    x: "us", y: "value", text: (point) => shortened(point.scorer, 34), textAnchor: late ? "end" : "start", dx: late ? -7 : 7, dy: 10, fill: "var(--ink)",
    stroke: "var(--page)",
  });
  return figure("What scoring costs, and what it gives",
    "Microseconds of scoring, a token and layer, on the machine that the row's details name; the line is the Pareto front of the ranked rows shown. A second pass of the model is not in the time: such rows are drawn as rings.",
    Plot.plot({
      ...options,
      marks: [
        Plot.line(front, { x: "us", y: "value", curve: "step-after", stroke: "var(--ink)", strokeDasharray: "4 3" }),
        dots, name(false), name(true),
        Plot.tip(all, Plot.pointer({ x: "us", y: "value", title: "text", fill: "var(--page)", stroke: "var(--line)" })),
      ],
    }));
}

function oracleGap(table, state) {
  const rows = chosen(table, state).flatMap((group) => group.rows.filter((row) => typeof row.gap === "number" && ranked(row))
    .sort((a, b) => b.gap - a.gap).slice(0, 12).map((row) => ({ name: `${row.scorer} (${group.title})`, scorer: row.scorer, gap: row.gap })));
  if (rows.length === 0) return null;
  return figure("How much of the way from the best published row to the oracle is closed",
    "0 is the best published row of the row's class, 1 the oracle of its budgets; the twelve best of each class. Bars are cut at -1.",
    Plot.plot({
      ...frame, height: 60 + 18 * rows.length, marginLeft: 300,
      x: { domain: [-1, 1], label: "gap closed", tickFormat: (value) => `${Math.round(100 * value)} %`, grid: true },
      y: { domain: rows.map((row) => row.name), label: null, tickFormat: (name) => shortened(name, 40) },
      marks: [
        Plot.barX(rows, { x1: 0, x2: (row) => Math.max(-1, Math.min(1, row.gap)), y: "name", fill: (row) => colour(state, row.scorer) ?? "var(--band)" }),
        Plot.ruleX([0, 1], { stroke: "var(--ink)" }),
        Plot.tip(rows, Plot.pointerY({ x: (row) => Math.max(-1, row.gap), y: "name", title: (row) => `${row.scorer}\n${percent(row.gap)}`, fill: "var(--page)", stroke: "var(--line)" })),
      ],
    }));
}
