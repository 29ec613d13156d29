"""EvictlabPress with a ragged cache: it keeps what masking keeps, models go on alike, and the rest holds no memory."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from architectures import make, tokens
from torch import Tensor

kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from test_prompt import PROMPT, compressed, gone_on, more, verdict  # noqa: E402
from transformers import DynamicCache, StaticCache  # noqa: E402

from evictlab_tools.errors import ToolError  # noqa: E402
from evictlab_tools.press import EvictlabPress, Refused  # noqa: E402
from evictlab_tools.ragged import RaggedCache, RaggedLayer  # noqa: E402
from evictlab_tools.shapes import Shape  # noqa: E402

UNEVEN: dict[str, dict[str, Any]] = {
    "adakv@kvpress(snapkv@paper)": {},
    "adakv@kvpress(knorm@kvpress)": {},
    "pyramidkv@kvpress": {},
    "global@kvpress(knorm@kvpress)": {},  # a budget of the whole model: cut when the last layer was scored
    "knorm@kvpress": {"shape": Shape(granularity="layer", block=16)},
    "snapkv@kvpress": {"shape": Shape(granularity="model")},
}
ADAKV = "adakv@kvpress(snapkv@paper)"


def masks_of(cache: RaggedCache, sequence: int = 0) -> dict[int, Tensor]:
    """By layer what each head holds of the prompt [H_kv][n]."""
    found = {}
    for number, layer in cache.ragged.items():
        found[number] = torch.zeros((layer.heads, PROMPT), dtype=torch.bool)
        for head in range(layer.heads):
            found[number][head, cache.positions(number, head, sequence).long()] = True
    return found


def hidden(model: Any) -> dict[int, Tensor]:
    """By layer what kvpress's attention does not hide [H_kv][n], and forgets it."""
    found = {}
    for number, layer in enumerate(model.model.layers):
        found[number] = torch.ones((2, PROMPT), dtype=torch.bool)
        _, heads, positions = layer.self_attn.masked_key_indices
        found[number][heads, positions] = False
        layer.self_attn.masked_key_indices = None
    return found


@pytest.mark.parametrize("scorer", UNEVEN)
def test_it_keeps_what_masking_keeps_and_a_model_goes_on_alike(scorer: str) -> None:
    model = make("llama", "sdpa")
    compressed(model, EvictlabPress(0.7, scorer, **UNEVEN[scorer]))
    expected = hidden(model)
    cache = compressed(model, EvictlabPress(0.7, scorer, ragged=True, **UNEVEN[scorer]))
    kept = masks_of(cache)
    assert all(torch.equal(kept[number], mask) for number, mask in expected.items())
    assert cache.cells() == sum(int(mask.sum()) for mask in expected.values())
    assert cache.nbytes < 0.45 * sum(2 * layer.keys.nbytes for layer in compressed(model, kvpress.KnormPress(0)).layers)
    torch.testing.assert_close(gone_on(model, cache), verdict("llama", kept), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("scorer", [ADAKV, "adakv@kvpress(knorm@kvpress)"])
def test_a_layers_prompt_holds_no_memory_once_the_layer_is_cut(scorer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: list[Any] = []
    of = RaggedLayer.of

    def noted(layer: Any, kept: Any) -> RaggedLayer:
        assert all(tensor() is None for tensor in whole)  # of the layers before
        whole.extend(weakref.ref(tensor) for tensor in (layer.keys, layer.values))
        return of(layer, kept)

    monkeypatch.setattr(RaggedLayer, "of", noted)
    gc.disable()  # which may come late
    try:
        cache = compressed(make("llama", "sdpa"), EvictlabPress(0.7, scorer, ragged=True))
        assert len(whole) == 4
        assert all(tensor() is None for tensor in whole)
    finally:
        gc.enable()
    assert isinstance(cache, RaggedCache)


def test_masking_is_what_it_does_where_nothing_is_said() -> None:
    cache = compressed(make("llama", "sdpa"), EvictlabPress(0.7, ADAKV))
    assert type(cache) is DynamicCache
    assert [layer.keys.shape[2] for layer in cache.layers] == [PROMPT, PROMPT]


def test_scorers_that_keep_as_many_in_every_head_shorten_the_cache_as_ever() -> None:
    cache = compressed(make("llama", "sdpa"), EvictlabPress(0.5, "snapkv@kvpress", ragged=True))
    assert [layer.keys.shape[2] for layer in cache.layers] == [75, 75]


def test_every_sequence_of_a_batch_keeps_its_own() -> None:
    model, batch = make("llama", "sdpa"), torch.cat((tokens(), tokens(seed=4)))
    both = compressed(model, EvictlabPress(0.7, ADAKV, ragged=True), ids=batch)
    for sequence in range(2):
        alone = compressed(model, EvictlabPress(0.7, ADAKV, ragged=True), ids=batch[sequence : sequence + 1])
        for number, mask in masks_of(alone).items():
            assert torch.equal(masks_of(both, sequence)[number], mask)
    with torch.no_grad():
        logits = model(input_ids=more().repeat(2, 1), past_key_values=both).logits
    torch.testing.assert_close(gone_on(model, alone), logits[1], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("own_cache", [False, True])
def test_sliding_layers_are_left_alone(own_cache: bool) -> None:
    model = make("gemma3", "sdpa")
    given = DynamicCache(config=model.config) if own_cache else None
    cache = compressed(model, EvictlabPress(0.7, ADAKV, ragged=True), given)
    assert list(cache.ragged) == [1]
    right = verdict("gemma3", masks_of(cache))
    torch.testing.assert_close(gone_on(model, cache), right, atol=1e-3, rtol=1e-3)


def test_generate_and_later_turns_go_on_at_the_true_positions() -> None:
    """Turn by turn a model says what it says to all turns at once."""
    model, press = make("llama", "sdpa"), EvictlabPress(0.7, ADAKV, ragged=True)
    options: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}

    def generated(ids: Tensor, **given: Any) -> Tensor:
        result: Tensor = model.generate(ids, attention_mask=torch.ones_like(ids), **options, **given)
        return result

    with torch.no_grad(), press(model):
        inside = generated(tokens())
    with torch.no_grad():
        once = model(input_ids=inside[:, PROMPT:], past_key_values=compressed(model, press)).logits[0]
        assert once.argmax(-1)[:-1].tolist() == inside[0, PROMPT + 1 :].tolist()
        cache = compressed(model, press)
        first = generated(torch.cat((tokens(), more()), 1), past_key_values=cache)
        second = generated(torch.cat((first, more()), 1), past_key_values=cache)
        at_once = model(input_ids=second[:, PROMPT:], past_key_values=compressed(model, press)).logits[0]
    assert at_once.argmax(-1)[-7:-1].tolist() == second[0, -6:].tolist()


def test_kvpresss_pipeline_answers_each_question_as_if_it_were_alone() -> None:
    pipeline = kvpress.KVPressTextGenerationPipeline.__new__(kvpress.KVPressTextGenerationPipeline)
    pipeline.model = make("llama", "sdpa")
    pipeline.tokenizer = SimpleNamespace(decode=lambda ids, **_: ids.tolist())

    def answers(*questions: Tensor) -> Any:
        given = {"context_ids": tokens(), "questions_ids": list(questions)}
        with torch.no_grad():
            return pipeline._forward(given, max_new_tokens=5, press=EvictlabPress(0.7, ADAKV, ragged=True))

    first, second = more(), tokens(7, seed=8)
    alone = [answers(first)[0], answers(second)[0]]
    assert answers(first, second) == alone
    model = pipeline.model
    ids = torch.cat((second, torch.tensor([ast.literal_eval(alone[1])])), 1)
    with torch.no_grad():
        cache = compressed(model, EvictlabPress(0.7, ADAKV, ragged=True))
        logits = model(input_ids=ids, past_key_values=cache).logits[0]
    assert logits.argmax(-1)[6:-1].tolist() == ids[0, 7:].tolist()


def test_what_it_cannot_do_is_refused_by_name() -> None:
    press = EvictlabPress(0.7, ADAKV, ragged=True)
    with pytest.raises(Refused, match=r"LlamaAttention.*ragged cache frees, but not in eager attention.*sdpa"):
        compressed(make("llama", "eager"), press)
    with pytest.raises(ToolError, match="a press around this one cuts by itself"):
        compressed(make("llama", "sdpa"), kvpress.AdaKVPress(EvictlabPress(0.7, "knorm@kvpress", ragged=True)))
    model = make("llama", "sdpa")
    with pytest.raises(ToolError, match=r"StaticCache.*DynamicCache\(\)"):
        compressed(model, press, StaticCache(config=model.config, max_cache_len=PROMPT))
