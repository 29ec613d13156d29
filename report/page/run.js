// A run's story: how it stands, its way down, its champions with what changed, and which operators paid.
// SPDX-License-Identifier: MIT
const page = JSON.parse(document.getElementById("data").textContent);
const place = (id) => document.getElementById(id);
let current = 0;

const textOf = (candidate) => candidate.formula ?? candidate.scorer;
const klOf = (candidate) => candidate.verdict?.valid?.average;

function clock(seconds) {
  const whole = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

function about({ status, log }) {
  const parts = element("dl");
  const add = (term, ...content) => parts.append(element("dt", {}, term), element("dd", {}, ...content));
  const [first, last] = [log.champions[0], log.champions[log.champions.length - 1]];
  add("run", `${status.suites.map((suite) => `${suite.name} (${suite.measure})`).join(", ")}, seed ${status.seed}; ${status.state}`);
  add("standing", status.running ? `running${status.open_in ? `, in ${status.open_in}` : ""}` : `stopped: ${status.stop_reason || "not running"}`);
  add("generation", `${status.generation}; the last champion came in ${status.last_champion_generation}`);
  add("made", `${status.candidates} candidates, ${status.accepted} accepted, ${status.evaluations} measured, in ${clock(status.seconds)}`);
  add("valid error", `${number(first.valid.average)} at the start, ${number(last.valid.average)} now`);
  if (klOf(last) !== undefined)
    add("KL inside the model", `${klOf(first) === undefined ? "" : `${number(klOf(first))} at the start, `}${number(klOf(last))} now, valid documents`);
  for (const who of ["judge", "proposer"]) {
    const external = status[who];
    if (external) add(who, `${external.command}: ${external.answers} answers${external.lost ? `; lost: ${external.lost}` : ""}`);
  }
  add("command", element("code", {}, status.command));
  return [element("h2", {}, "How it stands"), parts];
}

function convergence({ status, log }) {
  const steps = log.champions.flatMap((champion, i) => {
    const until = log.champions[i + 1]?.generation ?? status.generation;
    return [["train", champion.train.average], ["valid", champion.valid.average], ["KL, valid", klOf(champion)]]
      .filter(([, value]) => value > 0)
      .flatMap(([what, value]) => [champion.generation, until].map((generation) => ({ what, value, generation, id: champion.id })));
  });
  const best = status.history.map((line) => ({ what: "best of the population, train", generation: line.generation, value: line.best_train })).filter((line) => line.value > 0);
  return figure("The way down", "The champion's error on train and valid, and its KL divergence where a judge was asked; grey: the best of the population on train, of the last generations.",
    Plot.plot({
      ...frame, marginLeft: 60,
      x: { label: "generation" }, y: { type: "log", label: "relative error, or KL", grid: true, tickFormat: logTick },
      color: { domain: ["train", "valid", "KL, valid"], range: ["var(--c0)", "var(--c1)", "var(--c2)"], legend: false },
      marks: [
        Plot.line(best, { x: "generation", y: "value", stroke: "var(--band)" }),
        Plot.line(steps, { x: "generation", y: "value", z: "what", stroke: "what", strokeWidth: 2 }),
        Plot.text(steps, Plot.selectLast({ x: "generation", y: "value", z: "what", text: "what", textAnchor: "end", dy: -8, fill: "what" })),
        Plot.tip(steps, Plot.pointer({ x: "generation", y: "value", title: (step) => `${step.id}, ${step.what}: ${number(step.value)}`, fill: "var(--page)", stroke: "var(--line)" })),
      ],
    }));
}

function sizes({ log }) {
  const points = [...log.accepted.map((each) => ["accepted", each]), ...log.champions.map((each) => ["champion", each])]
    .filter(([, each]) => each.nodes > 0 && each.valid?.average > 0)
    .map(([what, each]) => ({ what, nodes: each.nodes, value: each.valid.average, text: `${each.id}, ${what}, ${each.nodes} nodes\n${number(each.valid.average)} on valid` }));
  if (points.length < 2) return null;
  return figure("Error against size", "Accepted formulas and champions: nodes of the formula, and its error on valid.",
    Plot.plot({
      ...frame, marginLeft: 60,
      x: { label: "nodes" }, y: { type: "log", label: "relative error on valid", grid: true, tickFormat: logTick },
      marks: [
        Plot.dot(points, { x: "nodes", y: "value", r: (point) => (point.what === "champion" ? 5 : 2.5), fill: (point) => (point.what === "champion" ? "var(--c1)" : "var(--band)") }),
        Plot.tip(points, Plot.pointer({ x: "nodes", y: "value", title: "text", fill: "var(--page)", stroke: "var(--line)" })),
      ],
    }));
}

/** The tree of champions: generation against its branch, each below the one that it descends from. */
function genealogy({ log }) {
  const branch = new Map();
  let branches = 0;
  const taken = new Set();
  const points = log.champions.map((champion) => {
    const follows = champion.from && !taken.has(champion.from);
    if (champion.from) taken.add(champion.from);
    branch.set(champion.id, follows ? branch.get(champion.from) : branches++);
    return { id: champion.id, from: champion.from, generation: champion.generation, branch: branch.get(champion.id), op: champion.operator, hypothesis: champion.hypothesis };
  });
  const at = new Map(points.map((point) => [point.id, point]));
  const edges = points.filter((point) => at.has(point.from)).map((point) => ({ x1: at.get(point.from).generation, y1: at.get(point.from).branch, x2: point.generation, y2: point.branch }));
  const chart = Plot.plot({
    ...frame, height: 90 + 26 * branches, marginLeft: 30, marginRight: 30,
    x: { label: "generation" }, y: { axis: null, domain: [-0.6, branches - 0.4] },
    marks: [
      Plot.link(edges, { x1: "x1", y1: "y1", x2: "x2", y2: "y2", stroke: "var(--band)", curve: "bump-x" }),
      Plot.dot(points, { x: "generation", y: "branch", r: 6, fill: "var(--c1)", href: (point) => `#champion-${point.id}` }),
      Plot.tip(points, Plot.pointer({ x: "generation", y: "branch", title: (point) => `${point.id}, by ${point.op}\n${point.hypothesis}`, fill: "var(--page)", stroke: "var(--line)", lineWidth: 40 })),
    ],
  });
  return figure("Who descends from whom", "One dot a champion; a branch begins where a champion descends from one that had another successor. A click leads to it below.", chart);
}

function steps(title, ancestors) {
  if (ancestors.length === 0) return [];
  return [element("dt", {}, title), element("dd", {}, element("ul", {}, ...ancestors.map((each) => element("li", {},
    element("code", {}, each.id), ` ${each.status}, by ${each.operator}: ${each.hypothesis}`))))];
}

function change(share) {
  return `${Math.abs(100 * share).toFixed(2)} % ${share < 0 ? "higher" : "lower"}`;
}

function championElement(champion, before) {
  const figures = [`train ${number(champion.train.average)}`, `valid ${number(champion.valid.average)}`];
  if (champion.improvement) {
    figures[0] += ` (${change(champion.improvement.train)})`;
    figures[1] += ` (${change(champion.improvement.valid)})`;
  }
  if (klOf(champion) !== undefined)
    figures.push(`KL ${number(klOf(champion))}${typeof champion.improvement?.kl === "number" ? ` (${change(champion.improvement.kl)})` : ""}`);
  const parts = element("dl", {}, element("dt", {}, "figures"), element("dd", {}, figures.join(", ")),
    element("dt", {}, "hypothesis"), element("dd", {}, champion.hypothesis),
    element("dt", {}, "why"), element("dd", {}, champion.reason ?? ""),
    element("dt", {}, before ? `against ${before.id}` : "formula"),
    element("dd", {}, before ? differenceElement(textOf(before), textOf(champion)) : element("pre", {}, element("code", {}, textOf(champion)))),
    ...(champion.shown ? [element("dt", {}, "simplified"), element("dd", {}, element("pre", {}, element("code", {}, champion.shown)))] : []),
    ...steps("by way of", champion.by_way_of), ...steps("mates", champion.mates));
  return element("details", { id: `champion-${champion.id}`, open: champion.last },
    element("summary", {}, element("code", {}, champion.id), ` generation ${champion.generation}, by ${champion.operator}: valid ${number(champion.valid.average)}${champion.nodes ? `, ${champion.nodes} nodes` : ""}`), parts);
}

function champions({ log }) {
  const byId = new Map(log.champions.map((champion) => [champion.id, champion]));
  const all = log.champions.map((champion, i) => ({ ...champion, last: i === log.champions.length - 1 }));
  return [element("h2", {}, `Champions (${all.length}), the last one first`), ...all.reverse().map((champion) => championElement(champion, byId.get(champion.from)))];
}

function operators({ log }) {
  const paid = new Map();
  for (const champion of log.champions) if (champion.improvement) {
    for (const op of new Set([champion.operator, ...champion.by_way_of.map((each) => each.operator)]))
      paid.set(op, (paid.get(op) ?? 0) + champion.improvement.valid);
  }
  const rows = [...log.operators].sort((a, b) => (paid.get(b.operator) ?? 0) - (paid.get(a.operator) ?? 0) || b.accepted - a.accepted);
  const heads = ["operator", "candidates", "accepted", "champions", "share accepted", "valid error saved by champions on whose way it was"];
  return [element("h2", {}, "Which operators paid"), element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map((head, i) => element("th", { scope: "col", class: i === 0 ? "text" : null }, head)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, element("td", { class: "text" }, row.operator), element("td", {}, String(row.candidates)),
      element("td", {}, String(row.accepted)), element("td", {}, String(row.champions)), element("td", {}, percent(row.accepted / row.candidates).replace("+", "")),
      element("td", {}, paid.has(row.operator) ? percent(paid.get(row.operator)).replace("+", "") : ""))))))];
}

function draw() {
  const run = page.runs[current];
  place("runs").replaceChildren(...(page.runs.length < 2 ? [] : page.runs.map((each, i) => element("button", {
    "aria-current": String(i === current), onclick: () => { current = i; draw(); },
  }, each.status.state))));
  place("about").replaceChildren(...about(run));
  place("charts").replaceChildren(...[convergence, sizes, genealogy].map((chart) => chart(run)).filter(Boolean));
  place("champions").replaceChildren(...champions(run));
  place("operators").replaceChildren(...operators(run));
}

/** A link to a champion opens it. */
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
}

addEventListener("hashchange", openTarget);
draw();
openTarget();
