"""Presses in tiny models of many architectures: columns are those of the model's eager attention, or refused by name.

docs/models.md has the table, which is held here to what happens.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import ARCHITECTURES, eager_attention, make, tokens
from torch import Tensor

kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from exported import export, press_of  # noqa: E402
from transformers import DynamicCache  # noqa: E402
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS  # noqa: E402

from evictlab_tools.press import EvictlabPress  # noqa: E402

ATTENTION = ("cumulative_attn", "window_attn:16")
TURNING = ("expected_attn", "replayed_attn:16", "capacity", "key_leverage")
COLUMNS = (*ATTENTION, *TURNING, "wov_norm", "key_norm")
TOLERANCE = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}  # of the largest value
PRESSES: dict[str, Callable[[str], Any]] = {
    "EvictlabPress": lambda column: EvictlabPress(0.5, f"={column}"),
    "exported press": lambda column: press_of(export(column))(0.5),
}
PAGE = Path(__file__).parents[2] / "docs" / "models.md"

Call = tuple[Any, ...]  # arguments of ScorerPress.score()


def scores(model: Any, ids: Tensor, press: Any, calls: dict[int, Call] | None = None) -> dict[int, Tensor]:
    """[layer] of [B][H_kv][n], without eviction; `calls` gets what score() was called with."""
    found: dict[int, Tensor] = {}

    def compress(*arguments: Any) -> Any:
        found[arguments[0].layer_idx] = press.score(*arguments).double()
        if calls is not None:
            calls[arguments[0].layer_idx] = arguments
        return arguments[2], arguments[3]

    press.compress = compress
    with torch.no_grad(), press(model):
        model(input_ids=ids, past_key_values=DynamicCache())
    return found


def by_kv_head(weights: Tensor, kv_heads: int) -> Tensor:
    batch, _, queries, keys = weights.shape
    return weights.reshape(batch, kv_heads, -1, queries, keys).mean(2)


def expected(column: str, weights: Tensor, kv_heads: int) -> Tensor:
    rows = by_kv_head(weights, kv_heads)
    return rows.sum(2) if column == "cumulative_attn" else rows[:, :, -16:].mean(2)


def replayed(model: Any, call: Call) -> Tensor:
    """replayed_attn:16 by the module itself: its forward() at the later positions, and what its attention then gets."""
    module, hidden, keys, _, _, kwargs = call
    count = hidden.shape[1]
    later = torch.arange(count, count + 16)[None]
    rotary, kind = module.rotary_emb, getattr(model.config, "layer_types", None)
    options = {} if kind is None or not hasattr(rotary, "layer_types") else {"layer_type": kind[module.layer_idx]}
    heard: list[tuple[Tensor, float]] = []

    def attention(_: Any, q: Tensor, k: Tensor, v: Tensor, mask: Any = None, **named: Any) -> Any:
        heard.append((q.double(), named["scaling"]))
        return torch.zeros_like(q).transpose(1, 2), None

    ALL_ATTENTION_FUNCTIONS.register("heard_in_tests", attention)
    given = {**kwargs, "hidden_states": hidden[:, -16:], "position_embeddings": rotary(hidden, later, **options)}
    for name in {"past_key_values", "attention_mask"} & given.keys():
        given[name] = None
    given["cache_position"] = later[0]
    if "position_ids" in given:
        given["position_ids"] = later
    before, model.config._attn_implementation = model.config._attn_implementation, "heard_in_tests"
    try:
        module.forward(**given)
    finally:
        model.config._attn_implementation = before
    ((queries, scale),) = heard
    group = queries.shape[1] // keys.shape[1]
    weights = (scale * queries @ keys.double().repeat_interleave(group, 1).transpose(-1, -2)).softmax(-1)
    return by_kv_head(weights, keys.shape[1]).mean(2)


def off(found: Tensor, right: Tensor) -> float:
    return float((found - right).abs().max() / right.abs().max())


def message_names(architecture: str, model: Any, message: str) -> bool:
    layers = getattr(getattr(model, "model", None), "layers", None)
    names = {type(getattr(layer, "self_attn", None)).__name__ for layer in layers or ()}
    return type(model).__name__ in message or any(name in message for name in names)


@cache
def outcome(architecture: str, press: str, dtype: torch.dtype) -> tuple[str, ...]:
    """The columns that are refused; all others are right."""
    model, ids = make(architecture, "eager", dtype), tokens()
    weights = eager_attention(model, ids)
    refused = []
    for column in COLUMNS:
        calls: dict[int, Call] = {}
        try:
            found = scores(model, ids, PRESSES[press](column), calls)
        except ValueError as error:
            assert message_names(architecture, model, str(error)), error
            assert "work" in str(error).split(";")[-1], error
            refused.append(column)
            continue
        assert len(found) == len(weights)
        for layer, of_layer in found.items():
            if column in ATTENTION:
                right = expected(column, weights[layer], of_layer.shape[1])
            elif column == "replayed_attn:16" and weights[layer][0, 0, -1, 0] > 0:  # no sliding window
                with torch.no_grad():
                    right = replayed(model, calls[layer])
            else:
                assert bool(of_layer.isfinite().all())
                continue
            assert off(of_layer, right) < TOLERANCE[dtype], (column, layer)
    return tuple(refused)


def cell(refused: tuple[str, ...]) -> str:
    names = list(dict.fromkeys("attention" if column in ATTENTION else column.split(":")[0] for column in refused))
    if len(refused) == len(COLUMNS):
        return "refused"
    if "attention" in names:
        names = ["attention", *(name for name in names if name == "wov_norm")]
    return "all columns" if not names else f"all but {', '.join(names)}"


@cache
def table() -> dict[str, dict[str, str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| architecture"))
    whole = takewhile(lambda line: line.startswith("|"), lines[first:])
    rows = [[text.strip() for text in line.strip("|").split("|")] for line in whole]
    named = (dict(zip(rows[0], row, strict=True)) for row in rows[2:])
    return {row["architecture"].strip("`"): row for row in named}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_columns_are_those_of_the_models_own_attention_or_refused_by_name(architecture: str) -> None:
    for press in PRESSES:
        refused = outcome(architecture, press, torch.float32)
        assert table()[architecture][press] == cell(refused)
        for dtype in (torch.bfloat16, torch.float16):
            assert outcome(architecture, press, dtype) == refused


def test_the_table_has_every_architecture() -> None:
    assert list(table()) == list(ARCHITECTURES)
