"""By how much the figures of two folders of results differ; fails beyond what the rounding of a C library explains."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROUNDING = 1e-9  # relative: a last bit of exp() or pow(), carried through sums; one token kept otherwise is far more


def figures(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """All that a result says, but who made it."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key != "made":
                yield from figures(each, f"{place}/{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from figures(each, f"{place}/{number}")
    else:
        yield place, value


def distance(one: Any, other: Any) -> float:
    if one == other:
        return 0.0
    if not all(isinstance(each, float | int) and not isinstance(each, bool) for each in (one, other)):
        return float("inf")
    return abs(one - other) / max(abs(one), abs(other))


def main() -> int:
    here, there = map(Path, sys.argv[1:3])
    worst = 0.0
    for file in sorted(here.glob("*.json")):
        one, other = (dict(figures(json.loads((folder / file.name).read_text("utf-8")))) for folder in (here, there))
        if one.keys() != other.keys():
            print(f"{file.name}: other fields, {sorted(one.keys() ^ other.keys())[:3]}")
            return 1
        apart = {place: distance(one[place], other[place]) for place in one if one[place] != other[place]}
        print(f"{file.name}: {len(one)} values, {len(apart)} of them not equal to the bit")
        for place in sorted(apart, key=lambda place: -apart[place])[:5]:
            print(f"  {place}: {one[place]!r} here, {other[place]!r} there ({apart[place]:.1e})")
        worst = max([worst, *apart.values()])
    return int(worst > ROUNDING)


if __name__ == "__main__":
    sys.exit(main())
