"""Presses that were exported to a shape keep what EvictlabPress, and so libevictlab, keeps at it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import VOCABULARY, make_model
from exported import export, press_of

kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from test_press import kept, run_full  # noqa: E402
from transformers import DynamicCache  # noqa: E402

from evictlab_tools.library import USUAL, Lab  # noqa: E402
from evictlab_tools.press import EvictlabPress  # noqa: E402
from evictlab_tools.shapes import JOINS, Shape  # noqa: E402

TOKENS = 150
RULE = "window_attn:16*value_norm + 0.1*key_norm"
# One row says keep of some tokens, and drop of others.
INFINITE = "if(key_norm > 1.2, keep, if(value_norm < 0.8, drop, key_norm - value_norm))"
SHAPES = [
    *(Shape("layer", join) for join in JOINS),
    *(Shape("model", join) for join in JOINS),
    Shape(sinks=4, recent=9),
    Shape(block=16),
    Shape(block=15, block_score="max"),  # whole blocks
    Shape("layer", block=8, sinks=3, recent=9),
    Shape("layer", "share", block=10),
    Shape("model", "rank", block=16, block_score="max"),
    Shape("model", "max", block=TOKENS + 1),
]


@pytest.fixture(scope="module")
def ids() -> list[int]:
    return torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(5)).tolist()[:TOKENS]


def pressed(rule: str, shape: Shape, keep: int | None = None, removed: float = 0.0) -> Any:
    press = press_of(export(rule, shape=shape, keep=keep))
    return press() if keep else press(removed)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_press_of_a_shape_keeps_what_the_library_keeps(family: str, shape: Shape, ids: list[int]) -> None:
    model = make_model(family, "sdpa")
    full = run_full(model, ids)
    for rule in (RULE, INFINITE):
        for removed in (0.4, 0.8):
            ours, _ = kept(model, full, EvictlabPress(removed, f"={rule}", shape=shape))
            theirs, _ = kept(model, full, pressed(rule, shape, removed=removed))
            assert theirs == ours
    ours, _ = kept(model, full, EvictlabPress(scorer=f"={RULE}", shape=shape, keep=47))
    assert kept(model, full, pressed(RULE, shape, keep=47))[0] == ours


def test_a_number_of_tokens_needs_no_shape(ids: list[int]) -> None:
    model = make_model("llama", "sdpa")
    sets, _ = kept(model, run_full(model, ids), pressed("-position", USUAL, keep=33))
    assert all(head == set(range(33)) for layer in sets for head in layer)
    sets, _ = kept(model, run_full(model, ids), pressed("-position", USUAL, keep=TOKENS + 9))
    assert all(len(head) == TOKENS for layer in sets for head in layer)
    with pytest.raises(ValueError, match="in place of the compression ratio"):
        press_of(export("-position", keep=33))(0.5)


def gone_on(model: Any, batch: list[list[int]], press: Any, question: list[int]) -> tuple[torch.Tensor, list[int]]:
    """Logits of a question behind a prompt that was evicted from; and the rows that its layers hold."""
    cache = DynamicCache()
    with torch.no_grad():
        with press(model):
            model(input_ids=torch.tensor(batch), past_key_values=cache, logits_to_keep=1)
        rows = [layer.keys.shape[2] for layer in cache.layers]
        at = torch.arange(TOKENS, TOKENS + len(question))[None]
        asked = torch.tensor([question] * len(batch))
        logits = model(input_ids=asked, position_ids=at, past_key_values=cache).logits
    for layer in model.model.layers:
        layer.self_attn.masked_key_indices = None
    return logits, rows


@pytest.mark.parametrize(
    ("shape", "held"),
    [
        (Shape("layer"), 60),
        (Shape("model"), 60),
        (Shape("layer", block=15), 60),  # the prompt is whole blocks
        (Shape(block=16), TOKENS),  # masked: a set may hold the short block
        (Shape("model", block=16), None),  # whatever the one set holds
    ],
    ids=str,
)
def test_a_model_goes_on_behind_it_and_equal_sets_hold_no_more_memory(
    shape: Shape, held: int | None, ids: list[int]
) -> None:
    model, question = make_model("llama", "sdpa"), [3, 1, 4, 1, 5]
    ours, _ = gone_on(model, [ids], EvictlabPress(0.6, f"={RULE}", shape=shape), question)
    theirs, rows = gone_on(model, [ids], pressed(RULE, shape, removed=0.6), question)
    np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4)
    assert len(set(rows)) == 1
    assert rows[0] == held if held else 32 < rows[0] <= 48


def test_sequences_of_a_batch_are_cut_by_themselves(ids: list[int]) -> None:
    model, question, batch = make_model("llama", "sdpa"), [3, 1, 4, 1, 5], [ids, ids[::-1]]
    for shape in (Shape("layer"), Shape("model"), Shape("model", block=16)):
        together, _ = gone_on(model, batch, pressed(RULE, shape, removed=0.6), question)
        for number, sequence in enumerate(batch):
            alone, _ = gone_on(model, [sequence], pressed(RULE, shape, removed=0.6), question)
            np.testing.assert_allclose(together[number], alone[0], rtol=1e-3, atol=1e-4)


def test_what_cannot_be_is_refused_by_name(ids: list[int], tmp_path: Path) -> None:
    model = make_model("llama", "sdpa")
    for shape in (Shape("layer"), Shape("model")):
        with pytest.raises(ValueError, match="a press around this one cuts by itself"):
            kept(model, run_full(model, ids), kvpress.AdaKVPress(pressed(RULE, shape, removed=0.5)))
        protecting = Shape(shape.granularity, sinks=40, recent=40)
        with pytest.raises(ValueError, match=r"the first 40 and the last 40 of 150 .* and only 29 are"):
            kept(model, run_full(model, ids), pressed(RULE, protecting, removed=0.8))
    by_layer = kvpress.PerLayerCompressionPress(pressed(RULE, Shape("model"), removed=0.5), [0.5, 0.2, 0.5, 0.5])
    with pytest.raises(ValueError, match="changes its compression ratio from layer to layer"):
        kept(model, run_full(model, ids), by_layer)
    eager = make_model("llama", "eager")
    with pytest.raises(ValueError, match="masked by kvpress, but not in eager attention"):
        kept(eager, run_full(eager, ids), pressed(RULE, Shape(block=16), removed=0.5))
    program = Lab().library.program
    for arguments, why in (
        (["--to", "torch", "--granularity", "layer"], "a shape is for --to kvpress"),
        (["--to", "formula", "--keep", "64"], "--keep is for --to kvpress"),
        (["--to", "kvpress", "--keep", "64,128"], "a press keeps one number of tokens"),
        (["--to", "kvpress", "--join", "max"], "--join is for --granularity layer and model"),
    ):
        command: list[str | Path] = [program, "export", f"={RULE}", *arguments, "--output", tmp_path / "none.py"]
        refused = subprocess.run(command, check=False, capture_output=True, text=True)
        assert refused.returncode == 2
        assert why in refused.stderr
    assert not list(tmp_path.iterdir())
