"""What evictlab-memory found: its tables, in words and as JSON ("evictlab-memory/1")."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "evictlab-memory/1"
FULL, MASKED, RAGGED, UNIFORM = "full", "masked", "ragged", "uniform"


@dataclass(frozen=True)
class Row:
    """One cache behind one prompt."""

    cache: str  # FULL, MASKED, RAGGED or UNIFORM
    retention: float  # asked for
    kept: float  # share of the prompt's tokens that are seen, over the layers that evict
    bytes: int  # of keys and values behind the prompt; of a ragged cache its positions and room, too
    milliseconds: float  # a token: median
    of_full: float  # median share of the full cache's time in the same turn


@dataclass(frozen=True)
class Length:
    """What was measured behind one prompt."""

    tokens: int
    prompt_seconds: float  # without scoring
    scoring_seconds: Mapping[str, float]  # by scorer
    rows: Sequence[Row]

    def row(self, cache: str, retention: float) -> Row:
        return next(row for row in self.rows if (row.cache, row.retention) == (cache, retention))

    def table(self) -> str:
        full = self.rows[0]
        scoring = ", ".join(f"{scorer} {seconds:.2f} s" for scorer, seconds in self.scoring_seconds.items())
        lines = [
            f"{self.tokens} tokens, read in {self.prompt_seconds:.1f} s; scoring: {scoring}",
            "",
            "| cache | kept | MB | of full | ms a token | of full |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for row in self.rows:
            cells = (
                row.cache,
                f"{row.kept:.1%}",
                f"{row.bytes / 1e6:.1f}",
                f"{row.bytes / full.bytes:.1%}",
                f"{row.milliseconds:.1f}",
                f"{row.of_full:.2f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join([*lines, ""])


@dataclass(frozen=True)
class Crossover:
    """From which prompt on a cache is quicker than the full one."""

    cache: str
    retention: float
    tokens: float | None  # 0: at every length that was measured; None: not at the longest

    def words(self, lengths: Sequence[int]) -> str:
        what = f"{self.cache} at {self.retention:g}"
        if self.tokens is None:
            return f"{what}: not quicker than the full cache at {lengths[-1]} tokens"
        if self.tokens == 0:
            return f"{what}: quicker than the full cache at {lengths[0]} tokens and more"
        return f"{what}: quicker than the full cache from about {self.tokens:.0f} tokens on"


def crossover(lengths: Sequence[int], of_full: Sequence[float]) -> float | None:
    """As Crossover.tokens has it: between two lengths on the line between their shares."""
    if of_full[-1] >= 1:
        return None
    slower = [at for at, share in enumerate(of_full) if share >= 1]
    if not slower:
        return 0
    at = slower[-1]
    part = (of_full[at] - 1) / (of_full[at] - of_full[at + 1])
    return lengths[at] + part * (lengths[at + 1] - lengths[at])


def crossovers(found: Sequence[Length]) -> list[Crossover]:
    lengths = [length.tokens for length in found]
    return [
        Crossover(
            row.cache,
            row.retention,
            crossover(lengths, [length.row(row.cache, row.retention).of_full for length in found]),
        )
        for row in found[0].rows
        if row.cache in (RAGGED, UNIFORM)
    ]


def to_json(found: Sequence[Length], about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        **about,
        "lengths": [asdict(length) for length in found],
        "crossovers": [asdict(one) for one in crossovers(found)],
    }
