"""The gallery's function of Python has a row inside a model, as its page says."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from verdict_harness import read

from evictlab_tools.external.scorer import ExternalScorer
from evictlab_tools.library import Lab

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "python"


def test_the_function_mixes_scores_of_the_library_with_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    run = read("llama")
    (mixed,) = run.keep(ExternalScorer("mixed:score"), [0.5])
    (plain,) = run.keep(Lab().open("snapkv@kvpress"), [0.5])
    assert all((mask.sum(-1) == run.prompt // 2).all() for mask in mixed)
    assert any(not np.array_equal(mask, other) for mask, other in zip(mixed, plain, strict=True))
    assert run.measure([mixed])[0].kl > 0
