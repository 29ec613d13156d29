"""A document that is run in chunks says what it says whole, of every architecture, and in bounded memory."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, VOCABULARY, make, tokens
from conftest import make_source
from test_attention import capture
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LlamaConfig, LlamaForCausalLM
from verdict_harness import document

from evictlab_tools.attention import LayerAttention
from evictlab_tools.device import CHUNK, WHOLE, DeviceConfig
from evictlab_tools.errors import ToolError
from evictlab_tools.estimate import ModelSizes
from evictlab_tools.library import Lab
from evictlab_tools.masked import ATTENTION
from evictlab_tools.reading import Reading, Show, read
from evictlab_tools.spill import SpilledQueries
from evictlab_tools.verdict.bounds import ORACLE
from evictlab_tools.verdict.judge import Judge

STEP = 37  # of 150 tokens: longer and shorter than windows, and the last chunk is shorter
CLOSE = 1e-5  # of the largest value
BY_LENGTH = {"phi3_longrope"}  # turned by other frequencies once the text is long


def attempt(name: str, step: int | None) -> Reading | str:
    try:
        model = make(name, ATTENTION)
    except KeyError:  # its attention is not in the registry, as evictlab_tools.models says in words
        return "refused"
    try:
        return read(model, tokens()[0].tolist(), range(model.config.num_hidden_layers), 31, step)
    except ToolError as error:
        assert type(model).__name__ in str(error) or "layer " in str(error)
        assert "what works is" in str(error)
        return "refused"


def assert_close(found: Any, right: Any) -> None:
    assert float((found - right).abs().max()) <= CLOSE * float(right.abs().max())


def facts(layer: LayerAttention) -> tuple[Any, ...]:
    rope = layer.rope
    assert rope is not None
    return (layer.window, layer.scale, layer.projects, rope.frequencies.tolist(), round(rope.factor, 6))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_chunks_say_what_the_whole_document_says_or_are_refused_by_name(name: str) -> None:
    whole, found = attempt(name, None), attempt(name, STEP)
    if isinstance(whole, str) or name in BY_LENGTH:
        assert found == "refused"
        return
    assert not isinstance(found, str)
    assert_close(found.logits, whole.logits)
    for number, layer in whole.layers.items():
        other = found.layers[number]
        assert isinstance(other.q, SpilledQueries) and facts(other) == facts(layer)
        for tensor, right in ((other.q[:, :], layer.q[:, :]), (other.k, layer.k), (other.v, layer.v)):
            assert_close(tensor, right)


def test_rope_that_depends_on_the_length_is_refused_in_chunks_alone() -> None:
    model, ids = make("phi3_longrope", ATTENTION), tokens()[0].tolist()
    read(model, ids, None)
    with pytest.raises(
        ToolError, match=r"layer 0 \(Phi3Attention\): its RoPE or scale depends on how long .*--chunk 0"
    ):
        read(model, ids, None, 1, STEP)
    assert read(model, ids[:90], None, 1, STEP).layers[0].rope is not None  # short of where they change


@pytest.mark.parametrize("model", ["llama", "gemma3"])
def test_a_verdict_in_chunks_has_the_figures_of_whole_documents(model: str) -> None:
    lab, runs = Lab(), []
    for chunk in (0, 29):
        source = replace(make_source(model), device=DeviceConfig(chunk=chunk))
        runs.append(Judge(source, threads=1).read(document()))
    for text in ("=cumulative_attn", "snapkv@kvpress", "adakv@kvpress(snapkv@kvpress)", "kvzip@kvpress"):
        whole, chunked = (run.keep(lab.open(text), [0.75, 0.5]) for run in runs)
        for a, b in zip(whole, chunked, strict=True):
            assert np.mean([(x == y).mean() for x, y in zip(a, b, strict=True)]) > 0.99
        for figures, right in zip(runs[1].measure(whole), runs[0].measure(whole), strict=True):
            assert figures.kl == pytest.approx(right.kl, rel=1e-3, abs=1e-6)
    (oracle,), (bound,) = (run.keep_oracle(ORACLE, [0.5]) for run in runs)
    assert np.mean([(x == y).mean() for x, y in zip(oracle, bound, strict=True)]) > 0.99
    trimmed = runs[1].trimmed()
    assert trimmed.layers[0].q.shape[1] == trimmed.prompt
    kept, again = (run.keep(lab.open("=cumulative_attn"), [0.5]) for run in (trimmed, runs[1]))
    assert all(np.array_equal(x, y) for x, y in zip(kept[0], again[0], strict=True))


def test_a_capture_in_chunks_holds_the_same_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = capture("gemma3", tmp_path / "whole")
    monkeypatch.setattr(
        "test_attention.make_source", lambda name: replace(make_source(name), device=DeviceConfig(chunk=19))
    )
    chunked = capture("gemma3", tmp_path / "chunked")
    assert {**chunked.metadata} == {**whole.metadata}
    for name in whole.names:
        np.testing.assert_allclose(chunked.floats(name), whole.floats(name), atol=1e-4, rtol=1e-4)


def test_long_documents_run_in_chunks_unless_they_are_asked_to_run_whole() -> None:
    assert DeviceConfig().step(WHOLE) == WHOLE and DeviceConfig().step(WHOLE + 1) == CHUNK
    assert DeviceConfig(chunk=0).step(10**6) == 10**6
    assert DeviceConfig(chunk=512).step(100) == 100 and DeviceConfig(chunk=512).step(1000) == 512


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes that torch's tensors held at one time, of those that were made since."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held, self.most = 0, 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place in self._seen:
            return
        self._seen.add(place)
        self.held += size
        self.most = max(self.most, self.held)
        weakref.finalize(storage, self._free, place, size)

    def _free(self, place: int, size: int) -> None:
        self._seen.discard(place)
        self.held -= size


LAYERS, HEADS, KV_HEADS, DIM = 8, 8, 2, 16


def long_config() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=DIM,
        attn_implementation=ATTENTION,
    )


def sizes_of_test() -> ModelSizes:
    model = LlamaForCausalLM(long_config())
    return ModelSizes.of(model.config, sum(parameter.numel() for parameter in model.parameters()))


def most_bytes(count: int, step: int | None, show: Show | None = None) -> int:
    """That a document of so many tokens needs beside the weights."""
    torch.manual_seed(3)
    model = LlamaForCausalLM(long_config()).eval()
    read(model, range(40), None)  # what is prepared once
    ids = torch.randint(0, VOCABULARY, (count,)).tolist()
    with LiveBytes() as live:
        reading = read(model, ids, None, 9, step, show=show)
    assert len(reading.layers) == LAYERS
    return int(live.most)


def test_memory_of_a_long_document_is_its_cache_and_one_layers_activations() -> None:
    short, long = 512, 2048
    more = 4 * (long - short)  # bytes of one number more a token
    cache = 2 * KV_HEADS * DIM * LAYERS * more
    one_layer = 2 * HEADS * DIM * more  # keys and values as all heads of one layer see them
    grown = most_bytes(long, 128) - most_bytes(short, 128)
    mask = 128 * (long - short)  # of one chunk, a byte each
    assert grown < cache + 2 * one_layer + 8 * mask
    assert most_bytes(long, None) > 2 * most_bytes(long, 128)


def test_whole_documents_whose_layers_are_shown_hold_the_queries_of_one() -> None:
    """A capture writes each layer down as it comes."""
    short, long = 512, 2048
    seen: list[tuple[int, ...]] = []
    more = 4 * (long - short)
    held = [most_bytes(n, None, lambda _, layer: seen.append(tuple(layer.q.shape))) for n in (short, long)]
    assert seen == [(HEADS, n, DIM) for n in (short, long) for _ in range(LAYERS)]
    queries = HEADS * DIM * LAYERS * more
    assert most_bytes(long, None) - most_bytes(short, None) > held[1] - held[0] + queries * (LAYERS - 1) / LAYERS / 2
