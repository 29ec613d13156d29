"""EvictlabPress(again=True): a prompt in chunks and several turns, by the true positions of what is left."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_model

pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from transformers import DynamicCache

from evictlab_tools.errors import UsageError
from evictlab_tools.later_runs import LEFT
from evictlab_tools.library import Kept, LayerInput
from evictlab_tools.press import EvictlabPress, Refused

IDS = torch.arange(150)[None] * 7 % 90
CHUNKS = (70, 40, 1, 39)


def run(model: Any, press: Any, chunks: tuple[int, ...] = CHUNKS) -> tuple[DynamicCache, torch.Tensor]:
    """The cache, and what the model said of all tokens."""
    cache, said, first = DynamicCache(), [], 0
    with torch.no_grad(), press(model):
        for tokens in chunks:
            said.append(model(IDS[:, first : first + tokens], past_key_values=cache).logits)
            first += tokens
    return cache, torch.cat(said, 1)


@pytest.fixture(scope="module")
def model() -> Any:
    return make_model("llama", "sdpa")


def positions(cache: DynamicCache, layer: int) -> list[list[int]]:
    found: list[list[int]] = vars(cache)[LEFT][layer].positions[0].tolist()
    return found


def test_streaming_llm_keeps_its_sinks_and_the_latest_however_often_it_evicts(model: Any) -> None:
    cache, _ = run(model, EvictlabPress(scorer="streaming_llm@paper", keep=30, again=True))
    whole, _ = run(model, EvictlabPress(scorer="streaming_llm@paper", keep=30), (150,))
    expected = [*range(4), *range(124, 150)]
    for number, layer in enumerate(cache.layers):
        assert positions(cache, number) == [expected] * layer.keys.shape[1]
        assert layer.keys.shape == whole.layers[number].keys.shape
    assert cache.get_seq_length() == 150


def test_a_ratio_is_of_all_tokens_so_far(model: Any) -> None:
    cache, _ = run(model, EvictlabPress(0.75, "streaming_llm@paper", again=True))
    assert [layer.keys.shape[2] for layer in cache.layers] == [37] * len(cache.layers)


def test_where_all_stay_the_model_says_what_it_says_without_a_press(model: Any) -> None:
    press = EvictlabPress(scorer="snapkv@kvpress:window=8", keep=1000, again=True)
    cache, said = run(model, press)
    whole = DynamicCache()
    with torch.no_grad():
        right = model(IDS, past_key_values=whole).logits
    torch.testing.assert_close(said, right, rtol=1e-4, atol=1e-4)
    for number, layer in enumerate(cache.layers):
        assert positions(cache, number)[0] == list(range(150))
        torch.testing.assert_close(layer.keys, whole.layers[number].keys, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scorer", ["=window_attn:8", "=expected_attn:future=20", "=relative_pos*value_norm"])
def test_a_later_run_is_scored_by_true_positions_and_queries(
    scorer: str, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the library scores what is cached, whose keys tell which tokens those are."""
    press = EvictlabPress(scorer=scorer, keep=60, again=True)
    asked: list[Any] = []
    own = press._scorer.keep

    def noted(layer: LayerInput, *rest: Any) -> Kept:
        asked.append(layer)
        return own(layer, *rest)

    monkeypatch.setattr(press._scorer, "keep", noted)
    cache, _ = run(model, press, (80, 70))
    layers = len(cache.layers)
    assert len(asked) == 2 * layers and [given.seen for given in asked] == [0] * layers + [150] * layers
    plain = DynamicCache()
    with torch.no_grad():
        model(IDS[:, :80], past_key_values=plain)
    for number, (first, later) in enumerate(zip(asked[:layers], asked[layers:], strict=True)):
        mask = own(first, [1 - 60.5 / 80]).mask[0]
        for head, row in enumerate(mask):
            kept = np.flatnonzero(row)
            assert later.positions[head].tolist() == [*kept.tolist(), *range(80, 150)]
            keys = plain.layers[number].keys[0, head][torch.from_numpy(kept)]
            np.testing.assert_allclose(later.k[head, : len(kept)], keys.numpy(), rtol=1e-5, atol=1e-6)
        if later.q is not None and scorer.startswith("=expected"):
            assert later.first_query == 0 and later.q.shape[1] == 150
            np.testing.assert_array_equal(later.q[:, :80], first.q)
        elif later.q is not None:
            assert later.first_query == 142
        assert np.isfinite(own(later, [0.5]).scores).all()


def test_generation_evicts_at_each_step(model: Any) -> None:
    cache, _ = run(model, EvictlabPress(scorer="snapkv@kvpress:window=8", keep=20, again=True), (50, 1, 1, 1))
    assert [layer.keys.shape[2] for layer in cache.layers] == [20] * len(cache.layers)
    assert positions(cache, 0)[0][-8:] == list(range(45, 53))


def test_what_was_not_proved_is_refused(model: Any) -> None:
    for scorer in ("adakv@kvpress(knorm@kvpress)", "pyramidkv@kvpress"):
        with pytest.raises(UsageError, match="at the end of a prompt alone, and not again"):
            EvictlabPress(0.5, scorer, again=True)
    with pytest.raises(UsageError, match="the attention of all queries so far"):
        run(model, EvictlabPress(0.5, "observed_attention@kvpress", again=True))
    press, cache = EvictlabPress(0.5, "knorm@kvpress", again=True), DynamicCache()
    with torch.no_grad():
        model(IDS[:, :50], past_key_values=cache)
        with pytest.raises(Refused, match="not what this press left"), press(model):
            model(IDS[:, 50:60], past_key_values=cache)
