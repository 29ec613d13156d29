"""A finished verdict, and its JSON ("evictlab-verdict/1"): figures alone, which `evictlab report --verdict` sums up."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from evictlab_tools.uncompressed import Uncompressed
from evictlab_tools.verdict.documents import DocumentSet
from evictlab_tools.verdict.statistics import Values

SCHEMA = "evictlab-verdict/1"
OVERSHOOT = 1.05  # who keeps more than this of what was asked is compared with nobody, as in `evictlab report`


@dataclass(frozen=True)
class Row:
    scorer: str
    kl: Values  # [document][retention]
    delta_nll: Values  # [document][retention]
    retention_used: Values  # [retention]
    uneven: bool  # layers or heads have budgets of their own
    plugin: str | None = None  # None of a formula or a bound


@dataclass(frozen=True)
class Verdict:
    documents: DocumentSet
    model: str
    weights: str
    retentions: tuple[float, ...]
    rows: tuple[Row, ...]
    uncompressed: tuple[Uncompressed, ...] = ()  # by document; none: nothing is known of any
    sources: Mapping[str, str] = field(default_factory=dict)  # files that figures follow from, with their hashes

    @cached_property
    def counted(self) -> list[int]:
        """The documents that are not left out; all, where there would be none."""
        everything = list(range(len(self.documents.documents)))
        left_out = {i for i, one in enumerate(self.uncompressed) if one.left_out}
        return [i for i in everything if i not in left_out] or everything

    def overshoots(self, row: Row) -> bool:
        return bool((row.retention_used > OVERSHOOT * np.array(self.retentions)).any())


def to_json(verdict: Verdict, made_by: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "suite": {"name": verdict.documents.suite, "hash": verdict.documents.suite_hash},
        "model": verdict.model,
        "weights": verdict.weights,
        "protocol": "prefill",
        "made_by": made_by,
        **({"sources": dict(verdict.sources)} if verdict.sources else {}),
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
        "rows": [_row_json(row) for row in verdict.rows],
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


def _row_json(row: Row) -> dict[str, Any]:
    result: dict[str, Any] = {
        "scorer": row.scorer,
        "kl": row.kl.tolist(),
        "delta_nll": row.delta_nll.tolist(),
        "retention_used": row.retention_used.tolist(),
    }
    if row.uneven:
        result["uneven_budgets"] = True
    return result


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


def used(kept: Sequence[int], cached: Sequence[int]) -> float:
    return float(np.sum(kept) / np.sum(cached))
