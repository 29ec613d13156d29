"""evictlab-memory: bytes are those of the caches that are there; what is timed says the same; crossovers."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import encode, make_source

pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from evictlab_tools.memory import command
from evictlab_tools.memory.measure import caches, measure
from evictlab_tools.memory.noted import Noted, read_prompt
from evictlab_tools.memory.options import UNEVEN
from evictlab_tools.memory.result import FULL, MASKED, RAGGED, UNIFORM, crossover
from evictlab_tools.models import ModelSource

TEXT = "The cache holds what was read, and each head of it keeps what it needs. " * 4
A_TOKEN = 4 * 2 * 2 * 16 * 4  # layers, KV heads, key and value, numbers, bytes


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *options: str, source: ModelSource | None = None) -> int:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(command, "open_model", lambda *_: source or make_source("llama"))
    monkeypatch.setattr(sys, "argv", ["evictlab-memory", "tiny", str(tmp_path / "text.txt"), *options])
    with pytest.raises(SystemExit) as stop:
        command.main()
    return int(stop.value.code or 0)


@pytest.mark.parametrize("uneven", [UNEVEN, "global@kvpress(knorm@kvpress)"])
def test_bytes_are_those_of_the_caches(
    uneven: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "memory.json"
    options = ["--lengths", "100,200", "--retentions", "0.25", "--steps", "6", "--uneven", uneven]
    assert run(tmp_path, monkeypatch, *options, "--output", str(output)) == 0
    result = json.loads(output.read_text())
    assert result["schema"] == "evictlab-memory/1"
    for length, found in zip((100, 200), result["lengths"], strict=True):
        rows = {row["cache"]: row for row in found["rows"]}
        assert list(rows) == [FULL, MASKED, RAGGED, UNIFORM]
        assert rows[FULL]["bytes"] == rows[MASKED]["bytes"] == length * A_TOKEN
        assert rows[UNIFORM]["bytes"] == length // 4 * A_TOKEN
        room = 8 * 16  # heads, tokens
        assert rows[RAGGED]["bytes"] == (length // 4 * 8 + room) * (2 * 16 * 4 + 4)
        assert {row["kept"] for row in rows.values()} == {1.0, 0.25}
        assert all(row["milliseconds"] > 0 for row in rows.values())
        assert set(found["scoring_seconds"]) == {uneven, "snapkv@kvpress"}
    assert [(one["cache"], one["retention"]) for one in result["crossovers"]] == [(RAGGED, 0.25), (UNIFORM, 0.25)]
    shown = capsys.readouterr().out
    assert "| ragged | 25.0% |" in shown
    assert "than the full cache" in shown


def test_what_is_timed_masked_and_freed_says_the_same() -> None:
    model: Any = make_source("llama").load("sdpa")
    ids = torch.tensor([encode(TEXT)])
    presses = [Noted(0.7, scorer, removed=(0.7,)) for scorer in (UNEVEN, "snapkv@kvpress")]
    prompt = read_prompt(model, ids[:, :200], presses, lambda: 0.0)
    runnings = caches(model, prompt, [0.3])
    measure(model, runnings, ids[:, 200:206], 200, iter(range(1000)).__next__)
    last = {running.name: running.cache.layers[-1] for running in runnings}
    masked, ragged = last[MASKED].keys[0, :, -6:], torch.stack([last[RAGGED].head(head)[0][-6:] for head in range(2)])
    torch.testing.assert_close(masked, ragged, atol=1e-3, rtol=1e-3)
    for other in (FULL, UNIFORM):
        assert not torch.allclose(last[other].keys[0, :, -6:], ragged, atol=1e-3)


def test_crossovers_lie_between_lengths() -> None:
    assert crossover([1000, 3000], [1.5, 0.5]) == pytest.approx(2000)
    assert crossover([1000, 2000, 4000], [0.9, 1.1, 0.9]) == pytest.approx(3000)
    assert crossover([1000, 3000], [0.9, 0.5]) == 0
    assert crossover([1000, 3000], [0.9, 1.0]) is None


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--lengths", "100,long"], 2, "--lengths 100,long"),
        (["--lengths", "1"], 2, "two tokens"),
        (["--steps", "0"], 2, "--steps"),
        (["--uniform", UNEVEN], 2, "heads keep different numbers"),
        (["--lengths", "4096"], 1, "289 tokens, and 4120 are needed"),
    ],
)
def test_wrong_use_says_what_to_do(
    options: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(tmp_path, monkeypatch, *options) == code
    assert words in capsys.readouterr().err
