"""A finished verdict: as JSON ("evictlab-verdict/1", which `evictlab report --verdict` reads) and as tables."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evictlab_tools.uncompressed import Uncompressed
from evictlab_tools.verdict.documents import DocumentSet
from evictlab_tools.verdict.judge import BOUNDS
from evictlab_tools.verdict.statistics import (
    DOCUMENTS_FOR_A_CLAIM,
    Estimate,
    Values,
    geometric_mean,
    mean,
    ratio,
)

SCHEMA = "evictlab-verdict/1"
# Methods as papers and NVIDIA's kvpress have them, in their own settings; as `evictlab report` tells them.
_PRESET = "(@(?!seed)[a-z0-9_]+)?"
_METHOD = (
    "(streaming_llm|h2o|observed_attention|snapkv|pyramidkv|knorm|tova|expected_attention|keydiff|lagkv)" + _PRESET
)
_WRAPPER = "(adakv|criticalkv|criticaladakv|chunkkv)" + _PRESET
_BASE = (
    f"({_METHOD}|expected_attention@kvpress:use_vnorm=false)"  # the latter is what kvpress prescribes for CriticalKV
)
PUBLISHED = re.compile(rf"{_METHOD}|{_WRAPPER}\({_BASE}\)")
SAME_RETENTION = 0.005
ELLIPSIS = " ... "
OVERSHOOT = 1.05  # who keeps more than this of what was asked is no yardstick


@dataclass(frozen=True)
class Row:
    scorer: str
    kl: Values  # [document][retention]
    delta_nll: Values  # [document][retention]
    retention_used: Values  # [retention]
    uneven: bool  # layers or heads have budgets of their own

    @property
    def published(self) -> bool:
        return PUBLISHED.fullmatch(self.scorer) is not None


@dataclass(frozen=True)
class Verdict:
    documents: DocumentSet
    model: str
    weights: str
    retentions: tuple[float, ...]
    rows: tuple[Row, ...]
    uncompressed: tuple[Uncompressed, ...] = ()  # by document; none: nothing is known of any

    @cached_property
    def left_out(self) -> dict[int, str]:
        """Documents that carry no claim, and why; they are in no mean, unless there are no others."""
        return {i: one.left_out for i, one in enumerate(self.uncompressed) if one.left_out}

    @cached_property
    def counted(self) -> list[int]:
        """The documents whose figures are in means."""
        everything = list(range(len(self.documents.documents)))
        return [i for i in everything if i not in self.left_out] or everything

    @property
    def may_claim(self) -> bool:
        return len(self.counted) >= DOCUMENTS_FOR_A_CLAIM and not set(self.counted) & set(self.left_out)

    def best_published(self, retention: int) -> Row | None:
        rows = [row for row in self.rows if row.published and not row.uneven and not self.overshoots(row)]
        return min(rows, key=lambda row: geometric_mean(row.kl[self.counted, retention]).value, default=None)

    def overshoots(self, row: Row) -> bool:
        return bool((row.retention_used > OVERSHOOT * np.array(self.retentions)).any())

    def ratio(self, row: Row, retention: int) -> Estimate | None:
        best = self.best_published(retention)
        return None if best is None else ratio(row.kl[self.counted, retention], best.kl[self.counted, retention])

    def in_order(self) -> list[Row]:
        """Best first by the geometric mean over all retentions; then uneven budgets, then those that overshoot."""
        return sorted(
            self.rows,
            key=lambda row: (self.overshoots(row), row.uneven, geometric_mean(row.kl[self.counted].ravel()).value),
        )


def to_json(verdict: Verdict, made_by: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "suite": {"name": verdict.documents.suite, "hash": verdict.documents.suite_hash},
        "model": verdict.model,
        "weights": verdict.weights,
        "protocol": "prefill",
        "made_by": made_by,
        "retentions": list(verdict.retentions),
        "documents": [
            {
                "name": document.name,
                "kind": document.kind,
                "split": document.split,
                "prompt": document.prompt,
                "continuation": len(document.ids) - document.prompt,
                **_uncompressed_json(verdict, i),
            }
            for i, document in enumerate(verdict.documents.documents)
        ],
        "rows": [_row_json(verdict, row) for row in verdict.in_order()],
    }


def _uncompressed_json(verdict: Verdict, document: int) -> dict[str, Any]:
    if not verdict.uncompressed:
        return {}
    found = verdict.uncompressed[document]
    result: dict[str, Any] = {"nll": found.nll}
    if found.lookups:
        result["lookups"] = {"asked": len(found.lookups), "right": found.right}
    if found.left_out:
        result["left_out"] = found.left_out
    return result


def _row_json(verdict: Verdict, row: Row) -> dict[str, Any]:
    result: dict[str, Any] = {
        "scorer": row.scorer,
        "kl": row.kl.tolist(),
        "delta_nll": row.delta_nll.tolist(),
        "retention_used": row.retention_used.tolist(),
    }
    if row.uneven:
        result["uneven_budgets"] = True
    result["summary"] = [
        {
            "retention": retention,
            "kl_geometric": _estimate_json(geometric_mean(row.kl[verdict.counted, r])),
            "kl_arithmetic": _estimate_json(mean(row.kl[verdict.counted, r])),
            "delta_nll": _estimate_json(mean(row.delta_nll[verdict.counted, r])),
            "ratio": _estimate_json(verdict.ratio(row, r)),
        }
        for r, retention in enumerate(verdict.retentions)
    ]
    return result


def _estimate_json(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    interval = None if estimate.low is None else [estimate.low, estimate.high]
    return {"value": estimate.value, "interval": interval}


def dump(verdict: dict[str, Any]) -> bytes:
    """JSON with a line for each document and row."""
    lines = []
    for name, value in verdict.items():
        if name in ("documents", "rows"):
            entries = ",\n    ".join(json.dumps(entry, ensure_ascii=False) for entry in value)
            lines.append(f"{json.dumps(name)}: [\n    {entries}\n  ]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return ("{\n  " + ",\n  ".join(lines) + "\n}\n").encode()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the middle of long formulas left out, the others to the right."""
    rows = [[shortened(row[0]), *row[1:]] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(cells)).rstrip()
        for cells in (list(zip(row, widths, strict=True)) for row in [header, *rows])
    ]
    return "\n".join(lines)


def shortened(label: str, most: int = 80) -> str:
    half = (most - len(ELLIPSIS)) // 2
    return label if len(label) <= most else label[:half] + ELLIPSIS + label[-half:]


def _figure(value: float) -> str:
    return f"{value:.4f}"


def with_interval(estimate: Estimate, form: str) -> str:
    text = format(estimate.value, form)
    return text if estimate.low is None else f"{text} [{estimate.low:{form}}, {estimate.high:{form}}]"


def to_text(verdict: Verdict) -> str:
    rows = verdict.in_order()
    header = ["", *(f"at {retention:g}" for retention in verdict.retentions)]

    def by_retention(title: str, cell: Callable[[Row, int], str]) -> str:
        body = [[row.scorer, *(cell(row, r) for r in range(len(verdict.retentions)))] for row in rows]
        return f"{title}\n{table(header, body)}\n"

    def ratio_cell(row: Row, r: int) -> str:
        estimate = verdict.ratio(row, r)
        if estimate is None:
            return "n/a"
        wins = (
            estimate.high is not None
            and estimate.high < 1
            and verdict.may_claim
            and not row.uneven
            and not verdict.overshoots(row)
            and row.scorer not in BOUNDS
        )
        return with_interval(estimate, ".2f") + (" *" if wins else "  ")

    best = [row.scorer if (row := verdict.best_published(r)) else "none" for r in range(len(verdict.retentions))]
    parts = [
        f"{verdict.model} on {len(verdict.counted)} documents of {verdict.documents.suite}. KL divergence from the run "
        "without eviction and change of the mean negative log-likelihood, in nats a token; with 95 % intervals.\n"
        + _left_out_text(verdict),
        *([_uncompressed_text(verdict)] if verdict.uncompressed else []),
        by_retention(
            "KL divergence, geometric mean over documents",
            lambda row, r: _figure(geometric_mean(row.kl[verdict.counted, r]).value),
        ),
        by_retention(
            "Its ratio to the best published row with uniform budgets "
            f"({', '.join(best)}); * where the interval lies below 1",
            ratio_cell,
        ),
        by_retention(
            "KL divergence, arithmetic mean", lambda row, r: with_interval(mean(row.kl[verdict.counted, r]), ".4f")
        ),
        by_retention(
            "Change of the mean negative log-likelihood",
            lambda row, r: with_interval(mean(row.delta_nll[verdict.counted, r]), "+.4f"),
        ),
        _kinds(verdict, rows),
    ]
    if others := [row for row in rows if (abs(row.retention_used - verdict.retentions) > SAME_RETENTION).any()]:
        body = [[row.scorer, *(f"{used:.4f}" for used in row.retention_used)] for row in others]
        parts.append(f"Retention really used, where it is not what was asked\n{table(header, body)}\n")
    return "\n".join(parts)


def _left_out_text(verdict: Verdict) -> str:
    if not verdict.left_out:
        return ""
    names = [verdict.documents.documents[i].name for i in verdict.left_out]
    reasons = "; ".join(f"{name}: {why}" for name, why in zip(names, verdict.left_out.values(), strict=True))
    if set(verdict.counted) <= set(verdict.left_out):
        return f"The model cannot do any of them by itself, so the figures carry no claim ({reasons}).\n"
    return f"Left out of all means, for the model cannot do them by itself ({len(names)}): {reasons}.\n"


def _uncompressed_text(verdict: Verdict) -> str:
    rows = []
    for document, found in zip(verdict.documents.documents, verdict.uncompressed, strict=True):
        lookups = f"{found.right} of {len(found.lookups)}" if found.lookups else ""
        rows.append([document.name, f"{found.nll:.4f}", lookups, "left out" if found.left_out else ""])
    header = ["", "nats a token", "lookups right", ""]
    return f"Without eviction: mean negative log-likelihood of the continuation\n{table(header, rows)}\n"


def _kinds(verdict: Verdict, rows: Sequence[Row]) -> str:
    """A column for each kind of document and retention."""
    kinds: dict[str, list[int]] = {}
    for place in verdict.counted:
        kinds.setdefault(verdict.documents.documents[place].kind or "no kind", []).append(place)
    header = [
        "",
        *(f"{kind} ({len(places)}) {r:g}" for kind, places in kinds.items() for r in verdict.retentions),
    ]
    body = [
        [
            row.scorer,
            *(
                _figure(geometric_mean(row.kl[places, r]).value)
                for places in kinds.values()
                for r in range(len(verdict.retentions))
            ),
        ]
        for row in rows
    ]
    return f"KL divergence by kind of document, geometric mean\n{table(header, body)}\n"


def used(kept: Sequence[int], cached: Sequence[int]) -> float:
    return float(np.sum(kept) / np.sum(cached))
