"""How well an offline measure predicts the verdict: rank correlation over scorers, document by document."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evictlab_tools.binding import Library
from evictlab_tools.errors import ToolError
from evictlab_tools.files import read_json
from evictlab_tools.library import Scorer
from evictlab_tools.verdict.bounds import BOUNDS
from evictlab_tools.verdict.result import Row, Verdict
from evictlab_tools.verdict.statistics import Estimate, Values, mean, spearman

SPLITS = ("train", "valid", "test")
RANDOM = "random"  # the plugin of the row that every scorer must beat


@dataclass(frozen=True)
class Correlation:
    measure: str
    retention: float
    estimate: Estimate  # mean over documents of Spearman's rank correlation
    scorers: int
    documents: int


def compared_rows(verdict: Verdict) -> dict[str, Row]:
    """All but those that would flatter every measure.

    These are random and the oracles, who are far from all others, rows that keep more than asked, and a second row of
    the same figures.
    """
    rows: dict[bytes, Row] = {}
    for row in verdict.rows:
        if row.scorer not in BOUNDS and row.plugin != RANDOM and not verdict.overshoots(row):
            rows.setdefault(row.kl.tobytes(), row)
    return {row.scorer: row for row in rows.values()}


def cut_options(cut: Mapping[str, Any]) -> list[str]:
    """As options of `evictlab bench`."""
    shape = dict(cut.get("shape", {}))
    if shape.get("granularity") == "head":
        del shape["join"]
    options = [f"--{name.replace('_', '-')}={value}" for name, value in shape.items()]
    return options + ([f"--keep={','.join(map(str, cut['keep']))}"] if "keep" in cut else [])


def run_bench(
    library: Library, verdict: Verdict, scorers: Sequence[Scorer], plugin_dirs: Sequence[Path]
) -> dict[str, Any]:
    """`evictlab bench` on the verdict's suite and the scorers that it has rows of."""
    if verdict.documents.folder is None:
        raise ToolError(
            "--correlate compares with the captured attention of the same documents: give a suite's folder, not texts"
        )
    arguments = [
        "bench",
        f"--suite={verdict.documents.folder.resolve()}",
        "--protocol=prefill",
        f"--scorers={','.join(scorer.text for scorer in scorers)}",
        "--by-trace",
        "--format=json",
        *cut_options(verdict.cut),
        *(f"--plugin-dir={folder}" for folder in plugin_dirs),
    ]
    result: dict[str, Any] = json.loads(library.run_program(*arguments))
    return result


def read_bench(path: Path, verdict: Verdict) -> dict[str, Any]:
    bench = read_json(path)
    if not isinstance(bench, dict) or "rows" not in bench or "measure" not in bench:
        raise ToolError(f"{path}: no result of `evictlab bench --format json`")
    if bench.get("suite", {}).get("hash") != verdict.documents.suite_hash:
        raise ToolError(f"{path}: is of another suite than {verdict.documents.suite}; their hashes differ")
    cut = {key: bench[key] for key in ("shape", "keep") if key in bench}
    if "shape" in cut:  # beside which layers were joined
        cut["shape"] = {key: value for key, value in cut["shape"].items() if not key.endswith("_layers")}
    if cut != verdict.cut:
        raise ToolError(f"{path}: was cut at another shape than the verdict")
    result: dict[str, Any] = bench
    return result


def _figures(bench: dict[str, Any], row: dict[str, Any], measure: str) -> dict[str, list[float]]:
    """By document: [retention]."""
    splits = row["splits"] if measure == bench["measure"] else row.get("measures", {}).get(measure, {})
    found: dict[str, list[float]] = {}
    for split in SPLITS:
        for label, figures in zip(
            bench["traces"].get(split, []), splits.get(split, {}).get("traces", []), strict=False
        ):
            found[label["name"]] = figures
    return found


def correlate(library: Library, verdict: Verdict, bench: dict[str, Any]) -> list[Correlation]:
    """Each measure of the bench, on the retentions, documents and scorers that both have."""
    rows = compared_rows(verdict)
    benched = {row["scorer"]: row for row in bench["rows"] if row["scorer"] in rows}
    if len(benched) < 3:
        raise ToolError(f"a correlation needs three scorers that were benched and judged; there are {len(benched)}")
    shared = [retention for retention in verdict.retentions if retention in bench["retentions"]]
    if not shared:
        raise ToolError(
            f"the bench has none of the retentions {list(verdict.retentions)}; it has {bench['retentions']}"
        )
    result = []
    for measure in [bench["measure"], *bench.get("more_measures", [])]:
        figures = {scorer: _figures(bench, row, measure) for scorer, row in benched.items()}
        for retention in shared:
            places = verdict.retentions.index(retention), bench["retentions"].index(retention)
            by_document = _by_document(verdict, rows, figures, *places)
            result.append(Correlation(measure, retention, mean(library, by_document), len(figures), len(by_document)))
    return result


def _by_document(
    verdict: Verdict, rows: dict[str, Row], figures: dict[str, dict[str, list[float]]], judged: int, benched: int
) -> Values:
    correlations = []
    for d in verdict.counted:
        document = verdict.documents.documents[d]
        if not all(document.name in of_scorer for of_scorer in figures.values()):
            continue
        offline = np.array([of_scorer[document.name][benched] for of_scorer in figures.values()])
        own = np.array([rows[scorer].kl[d, judged] for scorer in figures])
        correlations.append(spearman(offline, own))
    if not correlations:
        raise ToolError("the bench has none of the verdict's documents")
    return np.array(correlations)


def correlations_to_text(correlations: Sequence[Correlation]) -> str:
    """A row for each measure, in Markdown."""
    measures = list(dict.fromkeys(c.measure for c in correlations))
    retentions = list(dict.fromkeys(c.retention for c in correlations))
    cells = {(c.measure, c.retention): c.estimate.text(".2f") for c in correlations}
    header = ["measure", *(f"{retention:.2f}" for retention in retentions)]
    body = [[measure, *(cells[measure, retention] for retention in retentions)] for measure in measures]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *body])
