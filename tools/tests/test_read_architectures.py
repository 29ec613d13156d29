"""evictlab-capture and evictlab-verdict on tiny models of many architectures: right by their own eager attention, or
refused by the module's name. docs/models.md has the table, which is held here to what happens.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from architectures import ARCHITECTURES, eager_attention, make, tokens

from evictlab_tools.attention import recompute_weights
from evictlab_tools.errors import ToolError
from evictlab_tools.masked import ATTENTION
from evictlab_tools.models import ModelSource
from evictlab_tools.reading import read
from evictlab_tools.tokens import Tokenizer
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import Judge

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
PROMPT = 120
EXACT = 1e-4  # of weights, in single precision
ROUNDED = {torch.bfloat16: 0.1, torch.float16: 0.02}  # the eager attention rounds logits
NO_TOKENIZER = Tokenizer(lambda _: [], str, frozenset())


@cache
def captured(name: str, dtype: torch.dtype) -> str:
    """ "yes", and then the first layer (in single precision all) has the eager attention's weights; or "refused"."""
    try:
        model = make(name, ATTENTION, dtype)
    except KeyError as error:  # as evictlab_tools.models says in words
        assert ATTENTION in str(error)
        return "refused"
    ids, layers = tokens(), range(model.config.num_hidden_layers)
    try:
        reading = read(model, ids[0].tolist(), layers)
    except ToolError as error:
        message = str(error)
        assert "what works is" in message
        modules = {type(module).__name__ for module in model.modules()}
        assert any(module in message for module in modules) or "has no attention" in message
        return "refused"
    weights = eager_attention(make(name, "eager", dtype), ids)
    for number in layers if dtype == torch.float32 else layers[:1]:
        layer = reading.layers[number]
        found = torch.stack([recompute_weights(layer, head) for head in range(layer.q.shape[0])])
        assert float((found - weights[number][0]).abs().max()) < ROUNDED.get(dtype, EXACT), number
    return "yes"


@cache
def judged(name: str) -> str:
    source = ModelSource(name, "random", make(name).config.num_hidden_layers, NO_TOKENIZER, lambda a: make(name, a))
    try:
        run = Judge(source, threads=1).read(TokenDocument(name, "prose", "test", tuple(tokens()[0].tolist()), PROMPT))
    except (ToolError, KeyError):
        return "refused"
    everything = [torch.ones(layer.k.shape[0], PROMPT, dtype=torch.bool).numpy() for layer in run.layers.values()]
    (figures,) = run.measure([everything])
    assert figures.kl < 1e-6
    return "yes"


def cells() -> dict[str, tuple[str, str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    header = next(line for line in lines if line.startswith("| architecture"))
    titles = [title.strip() for title in header.strip("|").split("|")]
    capture, verdict = titles.index("evictlab-capture"), titles.index("evictlab-verdict")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[lines.index(header) + 1 :]]
    wide = (row for row in rows if row[0].startswith("`") and len(row) == len(titles))
    return {row[0].strip("`"): (row[capture], row[verdict]) for row in wide}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_read_is_the_models_own_attention_or_refused(name: str) -> None:
    assert cells()[name] == (captured(name, torch.float32), judged(name))
    for dtype in ROUNDED:
        assert captured(name, dtype) == captured(name, torch.float32)
