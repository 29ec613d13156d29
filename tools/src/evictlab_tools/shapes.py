"""The grain at which tokens are evicted: who shares a set of kept tokens, in blocks of how many, and which stay in any
case. docs/shapes.md defines every part, and libevictlab cuts.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evictlab_tools.errors import UsageError

GRANULARITIES = ("head", "layer", "model")
JOINS = ("mean", "max", "rank", "share")
BLOCK_SCORES = ("mean", "max")
LONGEST_BLOCK, MOST_PROTECTED = 65536, 1 << 20


@dataclass(frozen=True)
class Shape:
    """Without arguments: each KV head keeps its own tokens, one by one."""

    granularity: str = "head"
    join: str = "mean"
    block: int = 1
    sinks: int = 0
    recent: int = 0
    block_score: str = "mean"

    def __post_init__(self) -> None:
        for name, known in (("granularity", GRANULARITIES), ("join", JOINS), ("block_score", BLOCK_SCORES)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(known)}")
        for name, least, most in (
            ("block", 1, LONGEST_BLOCK),
            ("sinks", 0, MOST_PROTECTED),
            ("recent", 0, MOST_PROTECTED),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise UsageError(f"{name} is {value!r}, but must be a whole number from {least} to {most}")

    @property
    def usual(self) -> bool:
        return self == Shape(join=self.join, block_score=self.block_score)

    def to_json(self) -> dict[str, Any]:
        """As results have it."""
        fields = asdict(self)
        if self.block_score == "mean":
            del fields["block_score"]
        return fields


def shape_of_json(value: Any) -> Shape:
    """UsageError where it is none."""
    if not isinstance(value, Mapping) or not value.keys() <= asdict(Shape()).keys():
        raise UsageError(f'"shape" is no object of {", ".join(asdict(Shape()))} alone')
    return Shape(**value)


def blocks_kept(tokens: int, kept: int, shape: Shape) -> int:
    """Of `kept` of so many tokens: rounded down to whole blocks, and one at least."""
    if kept >= tokens:
        return -(-tokens // shape.block)
    return 0 if kept == 0 else max(1, kept // shape.block)


def kept_count(tokens: int, removed: float) -> int:
    """kvpress's K."""
    return 0 if removed >= 1 else max(1, int(tokens * (1.0 - removed)))


def removed_share(kept: int, tokens: int) -> float:
    """The share that goes where so many are kept by kvpress's rule."""
    return 0.0 if kept >= tokens else 1.0 - (kept + 0.5) / tokens


@dataclass(frozen=True)
class Budgets:
    """What is asked to stay: shares of a prompt's tokens, or numbers of them, which then have names as shares."""

    retentions: tuple[float, ...]
    keep: tuple[int, ...] = ()

    def removed(self, retention: float, tokens: int) -> float:
        """The share that goes of so many, of the budget that has this name."""
        if not self.keep:
            return 1.0 - retention
        return removed_share(self.keep[self.retentions.index(retention)], tokens)
