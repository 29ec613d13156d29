"""A finished verdict, and its JSON ("evictlab-verdict/1"): figures alone, which `evictlab report --verdict` sums up."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from evictlab_tools.device import USUAL_DEVICE, DeviceConfig
from evictlab_tools.made import made
from evictlab_tools.uncompressed import Uncompressed
from evictlab_tools.verdict.cost import CacheShape, Cost
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
    row_class: Mapping[str, Any] | None = None  # Scorer.row_class; None of a bound
    cost: Cost | None = None
    kept_bytes: Values | None = None  # [retention], of a document's cache in the layers that evict, mean
    more: Mapping[str, Any] = field(default_factory=dict)  # fields of its own protocol


@dataclass(frozen=True)
class Verdict:
    documents: DocumentSet
    model: str
    weights: str
    retentions: tuple[float, ...]
    rows: tuple[Row, ...]
    uncompressed: tuple[Uncompressed, ...] = ()  # by document; none: nothing is known of any
    sources: Mapping[str, str] = field(default_factory=dict)  # files that figures follow from, with their hashes
    cache: CacheShape | None = None  # where it is known
    value_bytes: float | None = None  # of a number in the KV cache; None: nothing is said of bytes
    cut: Mapping[str, Any] = field(default_factory=dict)  # "shape" and "keep" where not the usual ones, "decode"
    protocol: str = "prefill"
    device: DeviceConfig = USUAL_DEVICE
    scoring: Mapping[str, Any] = field(default_factory=dict)  # who scored, where it was not libevictlab

    @cached_property
    def counted(self) -> list[int]:
        """The documents that are not left out; all, where there would be none."""
        everything = list(range(len(self.documents.documents)))
        left_out = {i for i, one in enumerate(self.uncompressed) if one.left_out}
        return [i for i in everything if i not in left_out] or everything

    @property
    def divides_model(self) -> bool:
        """Whether a row has budgets over the whole model."""
        return any(row.row_class is not None and row.row_class["budgets"] == "model" for row in self.rows)

    def overshoots(self, row: Row) -> bool:
        return bool((row.retention_used > OVERSHOOT * np.array(self.retentions)).any())


def to_json(verdict: Verdict, made_by: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "suite": {"name": verdict.documents.suite, "hash": verdict.documents.suite_hash},
        "model": verdict.model,
        "weights": verdict.weights,
        "protocol": verdict.protocol,
        "made_by": made_by,
        "made": made(),
        **({"sources": dict(verdict.sources)} if verdict.sources else {}),
        **_cache_json(verdict),
        **verdict.cut,
        **verdict.device.field,
        **verdict.scoring,
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


def _cache_json(verdict: Verdict) -> dict[str, Any]:
    result: dict[str, Any] = {}
    cache = verdict.cache
    if cache is not None and verdict.divides_model and cache.evicted_layers < cache.layers:
        result["sharing_layers"] = [{"layers": cache.evicted_layers, "of": cache.layers}]
    if cache is not None and verdict.value_bytes is not None:
        result["kv_bytes"] = verdict.value_bytes * cache.numbers
    return result


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
    if row.row_class is not None:
        result["class"] = dict(row.row_class)
    if row.cost is not None:
        result["cost"] = row.cost.to_json()
    if row.kept_bytes is not None:
        result["kept_bytes"] = [round(value) for value in row.kept_bytes]
    return {**result, **row.more}


def dump(verdict: dict[str, Any], listed: Sequence[str] = ("documents", "rows")) -> bytes:
    """JSON with a line for each document and row."""
    lines = []
    for name, value in verdict.items():
        if name in listed:
            entries = ",\n    ".join(json.dumps(entry, ensure_ascii=False) for entry in value)
            lines.append(f"{json.dumps(name)}: [\n    {entries}\n  ]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return ("{\n  " + ",\n  ".join(lines) + "\n}\n").encode()


def used(kept: Sequence[int], cached: Sequence[int]) -> float:
    return float(np.sum(kept) / np.sum(cached))
