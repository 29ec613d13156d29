"""Searches with outside judges, and all that a run is: two that are alike are so to the bit."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import farm_judge

JUDGE = [sys.executable, "-S", "-E", farm_judge.__file__]
FARM = [sys.executable, "-c", "from evictlab_tools.farm.command import main; main()"]
SIZES = "--suite micro --patterns 2 --seq-len 24 --layers 2 --start hybrid_start --seed 1 --population 20 --tuned 0"
SEARCH = [*SIZES.split(), "--judged", "6", "--verdict-tuning", "12"]


def bits(state: Path) -> tuple[Any, bytes]:
    """All that a run is, but for how long it took, who was asked and waited for, and what was typed."""
    run = json.loads(state.read_text())["run"]
    for key in ("times", "command"):
        del run[key]
    for key in ("judge", "judge_timeout"):
        del run["outside"][key]
    return run, state.with_name(state.name + ".journal").read_bytes()


def answers(state: Path) -> dict[str, Any]:
    """What was asked, in whatever order, and answered."""
    lines = map(json.loads, state.with_name(state.name + ".verdicts").read_text().splitlines())
    return {line["key"]: line["answer"] for line in lines if "key" in line and line["key"] != "judge lost"}
