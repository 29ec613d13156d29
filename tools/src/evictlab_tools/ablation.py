"""What each option of `evictlab evolve` is worth: the same search with and without it, over several seeds.

Runs of one seed are made one after another, so that what else the machine does meets all variants alike.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from evictlab_tools import __version__
from evictlab_tools.binding import Library, find_library
from evictlab_tools.errors import ToolError, run_command
from evictlab_tools.shown import complain, say

PLAIN = "as by default"
VARIANTS = (
    "--tuned 0",
    "--parents lexicase",
    "--islands 4",
    "--archive 0.2",
    "--semantic-duplicates skip",
    "--parents lexicase --islands 4 --archive 0.2 --semantic-duplicates skip",
)

Evolve = Callable[[Sequence[str]], str]
Error = Callable[[str], float]


def evolved(program: Path, options: Sequence[str]) -> str:
    """The formula of the champion of a run with these options."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "run.json"
        command = [str(program), "evolve", "--state", str(state), *options]
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        if made.returncode != 0:
            raise ToolError(f"{shlex.join(command)} failed: {made.stderr.strip()[-500:]}")
        formula: str = json.loads(state.read_text())["run"]["champions"][-1]["formula"]
    return formula


def test_error(program: Path, suite: str, formula: str) -> float:
    """On the test split, mean over the retentions."""
    command = [str(program), "bench", "--suite", suite, "--scorers", f"={formula}", "--format", "json"]
    bench = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    row = next(row for row in bench["rows"] if row["kind"] == "formula")
    return float(row["splits"]["test"]["avg"])


def measure(variants: Sequence[str], seeds: Sequence[int], evolve: Evolve, error: Error) -> dict[str, list[float]]:
    """Errors of each variant by seed."""
    errors: dict[str, list[float]] = {variant: [] for variant in variants}
    for seed in seeds:
        for variant in variants:
            formula = evolve([*([] if variant == PLAIN else shlex.split(variant)), "--seed", str(seed)])
            errors[variant].append(error(formula))
            complain(f"seed {seed}, {variant}: {errors[variant][-1]:.6f}")
    return errors


def table(errors: dict[str, list[float]]) -> str:
    """Markdown."""
    plain = errors[PLAIN]
    lines = ["| options | median test error | lowest | highest | better than without |", "|---|---:|---:|---:|---:|"]
    for variant, found in errors.items():
        better = sum(one < other for one, other in zip(found, plain, strict=True))
        name = variant if variant == PLAIN else f"`{variant}`"
        lines.append(
            f"| {name} | {statistics.median(found):.5f} | {min(found):.5f} | {max(found):.5f} | "
            f"{'' if variant == PLAIN else f'{better} of {len(found)} seeds'} |"
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-ablation",
        description="What options of `evictlab evolve` are worth: the same search with and without, over seeds.",
        epilog="example: evictlab-ablation --evaluations 20000 --variant '--islands 4' --variant '--tuned 0'",
    )
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    result.add_argument("--suite", default="micro", help="as for evictlab evolve (micro)")
    result.add_argument("--seeds", type=int, default=5, help="runs a variant, with the seeds 1 to N (5)")
    result.add_argument("--evaluations", type=int, default=20000, help="formulas that a run measures (20000)")
    result.add_argument("--variant", action="append", help="options of evolve; may be repeated (all that there are)")
    result.add_argument("--with", dest="always", default="", help="options of evolve that all runs have")
    return result


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    program = Library(find_library()).program
    common = ["--suite", given.suite, "--evaluations", str(given.evaluations), *shlex.split(given.always)]
    errors = measure(
        [PLAIN, *(given.variant or VARIANTS)],
        range(1, given.seeds + 1),
        lambda options: evolved(program, [*common, *options]),
        lambda formula: test_error(program, given.suite, formula),
    )
    say(table(errors))


def main() -> None:
    sys.exit(run_command(command))
