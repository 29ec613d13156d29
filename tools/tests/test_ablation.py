"""The ablation: every variant runs with every seed, and a variant is compared with the plain run of the same seed."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence

import pytest

from evictlab_tools.ablation import PLAIN, command, measure, table


def test_variants_are_compared_seed_by_seed() -> None:
    def evolve(options: Sequence[str]) -> str:
        return " ".join(options)

    def error(formula: str) -> float:
        seed = int(formula.rsplit(maxsplit=1)[-1])
        return (
            seed / 10
            + (0.01 if "--islands 4" in formula and seed != 2 else 0.0)
            - 0.02 * (seed == 2) * ("--islands" in formula)
        )

    errors = measure([PLAIN, "--islands 4"], range(1, 4), evolve, error)
    assert errors[PLAIN] == [0.1, 0.2, 0.3]
    assert errors["--islands 4"] == pytest.approx([0.11, 0.18, 0.31])
    rows = table(errors).splitlines()
    assert rows[2] == "| as by default | 0.20000 | 0.10000 | 0.30000 |  |"
    assert rows[3] == "| `--islands 4` | 0.18000 | 0.11000 | 0.31000 | 1 of 3 seeds |"


def test_it_runs_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    small = "--seq-len 64 --layers 1 --patterns 1 --population 10 --tuned 0"
    command(["--seeds", "2", "--evaluations", "30", "--variant", "--islands 2", "--with", small])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4
    for row in rows[2:]:
        assert 0 < float(row.split("|")[2]) < 1
