"""Presses around a prompt: what is left of the cache, how a model goes on, what wrapping presses do, what is refused.

A model that goes on must give what the verdict gives: true positions over the tokens that were kept.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from architectures import ARCHITECTURES, VOCABULARY, WINDOW, eager_attention, make, tokens
from torch import Tensor

kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from exported import export, press_of  # noqa: E402
from test_architectures import expected, off, scores  # noqa: E402
from transformers import (  # noqa: E402
    DynamicCache,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    SiglipVisionConfig,
)
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS  # noqa: E402
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS  # noqa: E402

from evictlab_tools.masked import ATTENTION, prompt_layer, run_continuation  # noqa: E402
from evictlab_tools.press import EvictlabPress, Refused, positions_after  # noqa: E402
from evictlab_tools.reading import read  # noqa: E402

PROMPT, MORE = 150, 9
PRESSES: dict[str, Callable[[float, str], Any]] = {
    "EvictlabPress": lambda removed, rule: EvictlabPress(removed, f"={rule}"),
    "exported press": lambda removed, rule: press_of(export(rule))(removed),
}
RULE = "window_attn:16*value_norm"


@pytest.fixture(params=PRESSES)
def press(request: pytest.FixtureRequest) -> Callable[[float, str], Any]:
    return PRESSES[request.param]


def more() -> Tensor:
    return torch.randint(0, VOCABULARY, (1, MORE), generator=torch.Generator().manual_seed(9))


def compressed(model: Any, press: Any, cache: Any = None, **given: Any) -> Any:
    cache = DynamicCache() if cache is None else cache
    with torch.no_grad(), press(model):
        model(input_ids=given.pop("ids", tokens()), past_key_values=cache, **given)
    return cache


@torch.no_grad()
def gone_on(model: Any, cache: Any, **given: Any) -> Tensor:
    logits: Tensor = model(input_ids=more(), past_key_values=cache, **given).logits[0]
    return logits


def rows(cache: Any) -> list[int]:
    return [layer.keys.shape[2] for layer in cache.layers]


def verdict(architecture: str, kept: dict[int, Tensor]) -> Tensor:
    """Logits of going on where layers keep these [H_kv][n], and others everything."""
    model = make(architecture, ATTENTION)
    ids = [*tokens()[0].tolist(), *more()[0].tolist()]
    layers = {number: prompt_layer(layer, PROMPT) for number, layer in read(model, ids, None).layers.items()}
    everything = torch.ones(layers[0].k.shape[:2], dtype=torch.bool)
    sets = [kept.get(number, everything) for number in range(len(layers))]
    return run_continuation(model, ids, PROMPT, layers, [sets])[0]


def kept_sets(architecture: str, cache: Any, layers: list[int], attention: str = "sdpa") -> dict[int, Tensor]:
    """By their keys in a run without eviction."""
    whole = compressed(make(architecture, attention), kvpress.KnormPress(0.0))
    return {
        number: (whole.layers[number].keys[0][:, :, None] == cache.layers[number].keys[0][:, None]).all(-1).any(-1)
        for number in layers
    }


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("removed", [0.4, 0.9])
def test_a_model_goes_on_at_the_true_positions(
    press: Callable[[float, str], Any], removed: float, attention: str
) -> None:
    model = make("llama", attention)
    cache = compressed(model, press(removed, RULE))
    assert rows(cache) == [int(PROMPT * (1 - removed))] * 2
    right = verdict("llama", kept_sets("llama", cache, [0, 1], attention))
    for given in ({}, {"position_ids": positions_after(PROMPT, MORE)}):
        torch.testing.assert_close(gone_on(model, copy.deepcopy(cache), **given), right, atol=1e-3, rtol=1e-4)
    one_by_one = copy.deepcopy(cache)
    with torch.no_grad():
        steps = [model(input_ids=more()[:, i : i + 1], past_key_values=one_by_one).logits[0] for i in range(MORE)]
    torch.testing.assert_close(torch.cat(steps), right, atol=1e-3, rtol=1e-4)
    one_by_one.crop(PROMPT)
    assert one_by_one.get_seq_length() == PROMPT
    torch.testing.assert_close(gone_on(model, one_by_one), right, atol=1e-3, rtol=1e-4)


def test_generate_goes_on_at_the_true_positions(press: Callable[[float, str], Any]) -> None:
    model = make("llama", "sdpa")
    options: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    with torch.no_grad(), press(0.6, RULE)(model):
        inside = model.generate(tokens(), **options)
    cache = compressed(model, press(0.6, RULE), ids=tokens()[:, :-1])
    after = model.generate(tokens(), past_key_values=cache, **options)
    manual = compressed(model, press(0.6, RULE))
    assert inside.shape == after.shape == (1, PROMPT + 6)
    with torch.no_grad():
        logits = model(input_ids=inside[:, PROMPT:], past_key_values=manual).logits[0]
    assert logits.argmax(-1)[:-1].tolist() == inside[0, PROMPT + 1 :].tolist()


def test_kvpresss_pipeline_answers_each_question_as_if_it_were_alone(press: Callable[[float, str], Any]) -> None:
    """It cuts answers off the cache again, by rows, and passes positions itself."""
    pipeline = kvpress.KVPressTextGenerationPipeline.__new__(kvpress.KVPressTextGenerationPipeline)
    pipeline.model = make("llama", "sdpa")
    pipeline.tokenizer = SimpleNamespace(decode=lambda ids, **_: ids.tolist())

    def answers(*questions: Tensor) -> Any:
        given = {"context_ids": tokens(), "questions_ids": list(questions)}
        with torch.no_grad():
            return pipeline._forward(given, max_new_tokens=5, press=press(0.6, RULE))

    first, second = more(), tokens(7, seed=8)
    alone = [answers(first)[0], answers(second)[0]]
    assert answers(first, second) == alone
    model = pipeline.model
    ids = torch.cat((second, torch.tensor([ast.literal_eval(alone[1])])), 1)
    with torch.no_grad():
        logits = model(input_ids=ids, past_key_values=compressed(model, press(0.6, RULE))).logits[0]
    assert logits.argmax(-1)[6:-1].tolist() == ids[0, 7:].tolist()


@pytest.mark.parametrize("own_cache", [False, True])
@pytest.mark.parametrize("architecture", ["gemma3", "exaone4", "qwen2_sliding"])
def test_sliding_layers_are_left_alone(press: Callable[[float, str], Any], architecture: str, own_cache: bool) -> None:
    model = make(architecture, "sdpa")
    cache = compressed(model, press(0.5, RULE), DynamicCache(config=model.config) if own_cache else None)
    sliding = [kind == "sliding_attention" for kind in model.config.layer_types]
    assert rows(cache) == [(WINDOW - 1 if own_cache else PROMPT) if slides else 75 for slides in sliding]
    full = [number for number, slides in enumerate(sliding) if not slides]
    right = verdict(architecture, kept_sets(architecture, cache, full))
    torch.testing.assert_close(gone_on(model, cache), right, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("own_cache", [False, True])
def test_a_model_that_sees_is_pressed_in_its_text(press: Callable[[float, str], Any], own_cache: bool) -> None:
    """kvpress skips this class's sliding layers itself, and so the press is not asked about them."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config=ARCHITECTURES["gemma3"].settings(),
        vision_config=SiglipVisionConfig(**sizes, image_size=8, patch_size=4),
    )
    torch.manual_seed(17)
    model = Gemma3ForConditionalGeneration(config).eval()
    cache = compressed(model, press(0.5, RULE), DynamicCache(config=config.text_config) if own_cache else None)
    assert rows(cache) == [WINDOW - 1 if own_cache else PROMPT, 75]
    one_by_one = copy.deepcopy(cache)
    with torch.no_grad():
        steps = [model(input_ids=more()[:, i : i + 1], past_key_values=one_by_one).logits[0] for i in range(MORE)]
    torch.testing.assert_close(gone_on(model, cache), torch.cat(steps), atol=1e-3, rtol=1e-3)


def test_where_all_layers_slide_prompts_within_the_window_are_evicted_from(press: Callable[[float, str], Any]) -> None:
    model = make("mistral", "sdpa", sliding_window=200)
    assert rows(compressed(model, press(0.5, RULE))) == [75, 75]
    model = make("mistral", "sdpa")
    for cache in (DynamicCache(), DynamicCache(config=model.config)):
        with pytest.warns(UserWarning, match=r"MistralAttention: every layer has a sliding window.*evicts nothing"):
            compressed(model, press(0.5, RULE), cache)
        torch.testing.assert_close(gone_on(model, cache), verdict("mistral", {}), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("scorer", ["adakv@kvpress(snapkv@paper)", "adakv@kvpress(knorm@kvpress)", "pyramidkv@kvpress"])
def test_uneven_scorers_mask_and_a_question_may_follow(scorer: str) -> None:
    model = make("llama", "sdpa")
    press, masks = EvictlabPress(0.5, scorer), {}
    keep = press._scorer.keep

    def noted(layer: Any, *rest: Any) -> Any:
        found = keep(layer, *rest)
        masks[layer.layer] = torch.from_numpy(found.mask[0])
        return found

    press._scorer.keep = noted  # type: ignore[method-assign, assignment]
    cache = compressed(model, press)
    assert rows(cache) == [PROMPT, PROMPT]
    with torch.no_grad():
        two = model(input_ids=more()[:, :2], past_key_values=cache).logits[0]
    torch.testing.assert_close(two, verdict("llama", masks)[:2], atol=1e-3, rtol=1e-3)
    with pytest.raises(Refused, match=r"LlamaAttention.*not in eager attention.*sdpa"):
        compressed(make("llama", "eager"), EvictlabPress(0.5, scorer))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("rule", ["key_norm", RULE])
def test_padded_batches_are_refused(press: Callable[[float, str], Any], rule: str, attention: str) -> None:
    model = make("llama", attention)
    batch = torch.cat((tokens(), tokens(seed=4)))
    for side in ("left", "right"):
        mask = torch.ones_like(batch)
        mask[1, slice(0, 60) if side == "left" else slice(60, None)] = 0
        for given in ({}, {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}):
            with pytest.raises(ValueError, match=r"LlamaAttention.*padded.*prompts of one length"):
                compressed(model, press(0.5, rule), ids=batch, attention_mask=mask, **given)
    cache = compressed(model, press(0.5, rule), ids=batch, attention_mask=torch.ones_like(batch))
    alone = compressed(model, press(0.5, rule), ids=batch[1:])
    torch.testing.assert_close(cache.layers[1].keys[1:], alone.layers[1].keys)
    with pytest.raises(ValueError, match=r"positions of its tokens do not follow one another"):
        compressed(model, press(0.5, rule), position_ids=torch.arange(PROMPT)[None] * 2)


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "cohere", "phi"])
def test_chunks_are_prompts_at_their_own_positions(press: Callable[[float, str], Any], architecture: str) -> None:
    model = make(architecture, "sdpa")
    inner, seen = press(0.5, "window_attn:16"), []
    score = inner.score

    def noted(*given: Any) -> Any:
        seen.append(score(*given))
        return seen[-1]

    inner.score = noted
    cache = compressed(model, kvpress.ChunkPress(inner, chunk_length=50))
    assert rows(cache) == [75, 75] and len(seen) == 6
    weights = eager_attention(make(architecture, "eager"), tokens())[0]
    for chunk in range(3):
        at = slice(50 * chunk, 50 * chunk + 50)
        alone = weights[..., at, at]
        right = expected("window_attn:16", alone / alone.sum(-1, keepdim=True), seen[chunk].shape[1])
        assert off(seen[chunk].double(), right) < 1e-4


def test_columns_that_turn_queries_know_where_a_chunk_lies(press: Callable[[float, str], Any]) -> None:
    """Only differences of positions matter to them, so a chunk scores as it does wherever the prompt begins."""
    model = make("llama", "sdpa")
    for rule in ("replayed_attn:16", "expected_attn:future=40"):
        found = scores(model, tokens(), press(0.5, rule))[0]
        ids = torch.arange(300, 300 + PROMPT)[None]
        moved: dict[int, Tensor] = {}
        shifted = press(0.5, rule)
        shifted.compress = lambda *given, shifted=shifted, moved=moved: (
            moved.update({given[0].layer_idx: shifted.score(*given)}),
            given[2:4],
        )[1]
        compressed(model, shifted, position_ids=ids)
        assert off(moved[0].double(), found) < 1e-3


def decoding(press: Any) -> Any:
    return kvpress.DecodingPress(press, compression_interval=5, target_size=40)


def pieces(wrap: Callable[[Any], Any], press: Any, architecture: str = "llama") -> Any:
    model, wrapped, cache = make(architecture, "sdpa"), wrap(press), DynamicCache()
    with torch.no_grad(), wrapped(model):
        model(input_ids=tokens(), past_key_values=cache)
        for step in range(6):
            given = {"position_ids": positions_after(PROMPT + step, 1)}
            model(input_ids=more()[:, step : step + 1], past_key_values=cache, **given)
    return cache


@pytest.mark.parametrize("wrap", [lambda press: kvpress.BlockPress(press, block_size=16), decoding])
def test_pieces_that_are_no_prompt_have_columns_of_keys_alone(
    press: Callable[[float, str], Any], wrap: Callable[[Any], Any]
) -> None:
    ours, theirs = pieces(wrap, press(0.5, "-key_norm")), pieces(wrap, kvpress.KnormPress(0.5))
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        torch.testing.assert_close(a.keys.sort(dim=2).values, b.keys.sort(dim=2).values)
    for rule in (RULE, "position", "sequence_len", "lag_key:16", "expected_attn", "if(is_sink, keep, key_norm)"):
        with pytest.raises(ValueError, match=r"LlamaAttention.*no prompt, nor neighbours in one.*BlockPress"):
            pieces(wrap, press(0.5, rule))
    with pytest.raises(ValueError, match=r"MistralAttention.*sliding window of 20 tokens.*left alone"):
        pieces(wrap, press(0.5, "-key_norm"), "mistral")


WHOLE: dict[str, Callable[[Any], Any]] = {
    "ChunkKVPress": lambda press: kvpress.ChunkKVPress(press, chunk_length=10),
    "AdaKVPress": kvpress.AdaKVPress,
    "CriticalKVPress": kvpress.CriticalKVPress,
    "CriticalAdaKVPress": kvpress.CriticalAdaKVPress,
    "KeyRerotationPress": kvpress.KeyRerotationPress,
    "PerLayerCompressionPress": lambda press: kvpress.PerLayerCompressionPress(press, [0.5, 0.5]),
    "ComposedPress": lambda press: kvpress.ComposedPress([press, kvpress.KnormPress(0.2)]),
    "PrefillDecodingPress": lambda press: kvpress.PrefillDecodingPress(press, None),
    "DMSPress": lambda press: kvpress.DMSPress(press, threshold=1.0),
}


@pytest.mark.parametrize("wrap", WHOLE)
def test_presses_around_one_keep_what_they_keep_around_kvpresss_own(
    press: Callable[[float, str], Any], wrap: str
) -> None:
    model = make("llama", "sdpa")
    model.config.head_dim = 8  # CriticalKVPress asks the configuration
    ours = compressed(model, WHOLE[wrap](press(0.5, "-key_norm")))
    masked = [layer.self_attn.masked_key_indices for layer in model.model.layers]
    theirs = compressed(model, WHOLE[wrap](kvpress.KnormPress(0.5)))
    assert rows(ours) == rows(theirs)
    for number, layer in enumerate(model.model.layers):
        a, b = ours.layers[number].keys, theirs.layers[number].keys
        torch.testing.assert_close(a.sort(dim=2).values, b.sort(dim=2).values)
        if (mask := layer.self_attn.masked_key_indices) is not None:
            assert {*zip(*(x.tolist() for x in mask), strict=True)} == {
                *zip(*(x.tolist() for x in masked[number]), strict=True)
            }


def test_presses_around_one_cannot_have_sliding_layers(press: Callable[[float, str], Any]) -> None:
    model = make("gemma3", "sdpa")
    for wrap in ("AdaKVPress", "ChunkKVPress"):
        with pytest.raises(ValueError, match=r"Gemma3Attention.*sliding window of 20 tokens.*left alone"):
            compressed(model, WHOLE[wrap](press(0.5, RULE)))


def test_the_model_itself_notices_nothing(press: Callable[[float, str], Any]) -> None:
    model = make("llama", "sdpa")
    before = {name: dict(module.__dict__) for name, module in model.named_modules() if "self_attn" in name}
    with torch.no_grad():
        logits = model(input_ids=tokens()).logits
        with press(0.5, RULE)(model):
            torch.testing.assert_close(model(input_ids=tokens(), past_key_values=DynamicCache()).logits, logits)
    after = {name: dict(module.__dict__) for name, module in model.named_modules() if "self_attn" in name}
    for name, held in before.items():
        assert held.keys() | {"masked_key_indices"} == after[name].keys() | {"masked_key_indices"}
        assert held.get("config") is after[name].get("config")


def test_an_attention_that_is_another_is_found_out_at_the_first_call(press: Callable[[float, str], Any]) -> None:
    sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]

    def sharper(module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Any, **named: Any) -> Any:
        return sdpa(module, q, k, v, mask, **{**named, "scaling": 1.2 * named["scaling"]})

    ALL_ATTENTION_FUNCTIONS.register("sharper", sharper)
    ALL_MASK_ATTENTION_FUNCTIONS.register("sharper", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match=r"layer 0 \(LlamaAttention\): softmax\(scale q k\) v .* work"):
            compressed(make("llama", "sharper", dtype), press(0.5, RULE))
    model = make("llama", "sdpa")
    assert rows(compressed(model, press(0.5, RULE))) == [75, 75]
    model.set_attn_implementation("sharper")
    with pytest.raises(ValueError, match="LlamaAttention"):
        compressed(model, press(0.5, RULE))
    assert rows(compressed(model, press(0.5, "key_norm"))) == [75, 75]


def test_a_press_without_a_cache_says_so(press: Callable[[float, str], Any]) -> None:
    model = make("llama", "sdpa")
    with pytest.raises(ValueError, match=r"LlamaAttention.*DynamicCache"), torch.no_grad(), press(0.5, RULE)(model):
        model(input_ids=tokens(), use_cache=False)
