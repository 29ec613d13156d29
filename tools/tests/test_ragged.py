"""RaggedCache: what a model says from it is what its own eager attention says where the same tokens are hidden."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from architectures import make, tokens
from pretend_device import PretendedDevice, put, put_model
from torch import Tensor
from transformers import DynamicCache

from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.ragged import RaggedCache

PROMPT, END = 100, 130
STEPS = ((PROMPT, PROMPT + 1), (PROMPT + 1, PROMPT + 2), (PROMPT + 2, END - 1), (END - 1, END))
FAMILIES = ("llama", "qwen3", "gemma3")
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}  # of the largest logit

Kept = dict[int, Tensor]  # by layer: bool [B][H_kv][n]


def run(model: Any, ids: Tensor, cache: Any, first: int, past: int) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(ids[:, first:past], past_key_values=cache).logits
    return logits


def prefilled(model: Any, ids: Tensor) -> DynamicCache:
    cache = DynamicCache(config=model.config)
    run(model, ids, cache, 0, PROMPT)
    return cache


def batch_of(sequences: int) -> Tensor:
    return torch.cat([tokens(END, seed) for seed in range(3, 3 + sequences)])


def uneven(cache: DynamicCache, seed: int = 5) -> Kept:
    """Of the layers that hold their prompt whole; the first head of the first of them keeps nothing."""
    draw = torch.Generator().manual_seed(seed)
    kept = {}
    for number, layer in enumerate(cache.layers):
        if not layer.is_sliding:
            size = layer.keys.shape[:3]
            share = torch.rand((*size[:2], 1), generator=draw)
            kept[number] = torch.rand(size, generator=draw) < share
            if len(kept) == 1:
                kept[number][:, 0] = False
    return kept


@contextmanager
def hiding(model: Any, kept: Kept, first: int = PROMPT) -> Iterator[None]:
    """The model's own eager attention, in which the queries from `first` on do not see what was evicted."""

    def hide(module: Any, args: Any, named: dict[str, Any]) -> Any:
        mask = kept.get(module.layer_idx)
        if mask is None:
            return args, named
        own = named["attention_mask"]
        heads = module.config.num_attention_heads
        seen = own.expand(mask.shape[0], heads, -1, -1).clone()
        hidden = ~mask.repeat_interleave(heads // mask.shape[1], 1)[:, :, None, :]
        seen[..., first:, : mask.shape[2]].masked_fill_(hidden, torch.finfo(own.dtype).min)
        return args, {**named, "attention_mask": seen}

    with ExitStack() as hooks:
        for layer in model.model.layers:
            hook = layer.self_attn.register_forward_pre_hook(hide, with_kwargs=True)
            hooks.callback(hook.remove)
        yield


def right(name: str, ids: Tensor, kept: Kept, dtype: torch.dtype = torch.float32, past: int = END) -> Tensor:
    model = make(name, "eager", dtype)
    with hiding(model, kept), torch.no_grad():
        logits: Tensor = model(ids[:, :past], use_cache=False).logits
    return logits[:, PROMPT:]


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def stepwise(model: Any, ids: Tensor, cache: Any, steps: Any = STEPS) -> Tensor:
    return torch.cat([run(model, ids, cache, *step) for step in steps], 1)


@pytest.mark.parametrize("sequences", [1, 2])
@pytest.mark.parametrize("name", FAMILIES)
def test_it_says_what_the_models_eager_attention_says_of_the_same_kept_sets(name: str, sequences: int) -> None:
    model, ids = make(name, "sdpa"), batch_of(sequences)
    cache = prefilled(model, ids)
    kept = uneven(cache)
    ragged = RaggedCache.of(cache, kept)
    assert off(stepwise(model, ids, ragged), right(name, ids, kept)) < TOLERANCE[torch.float32]
    assert ragged.get_seq_length() == END
    assert off(stepwise(model, ids, cache), right(name, ids, {})) < TOLERANCE[torch.float32]  # the source is as it was


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", FAMILIES)
def test_it_holds_keys_and_values_in_the_models_type(name: str, dtype: torch.dtype) -> None:
    model, ids = make(name, "sdpa", dtype), batch_of(1)
    cache = prefilled(model, ids)
    kept = uneven(cache)
    ragged = RaggedCache.of(cache, kept)
    assert off(stepwise(model, ids, ragged).float(), right(name, ids, kept, dtype).float()) < TOLERANCE[dtype]
    assert {layer.head(1)[0].dtype for layer in ragged.ragged.values()} == {dtype}


@pytest.mark.parametrize("name", FAMILIES)
def test_where_everything_is_kept_it_says_what_a_dynamic_cache_says(name: str) -> None:
    model, ids = make(name, "sdpa"), batch_of(1)
    cache = prefilled(model, ids)
    ragged = RaggedCache.of(cache, {number: torch.ones_like(mask) for number, mask in uneven(cache).items()})
    assert off(stepwise(model, ids, ragged), stepwise(model, ids, cache)) < TOLERANCE[torch.float32]


def test_a_sliding_layer_that_holds_its_prompt_whole_may_evict_too() -> None:
    """Its window goes by places in the text, of which it holds some."""
    model, ids = make("gemma3", "sdpa"), batch_of(2)
    cache = DynamicCache()
    run(model, ids, cache, 0, PROMPT)
    kept = uneven(cache)
    assert list(kept) == [0, 1]
    found = stepwise(model, ids, RaggedCache.of(cache, kept))
    assert off(found, right("gemma3", ids, kept)) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", FAMILIES)
def test_it_takes_the_place_of_flash_attention(name: str) -> None:
    """Which has no mask of its own, and is told of its window."""
    model, ids = make(name, "sdpa"), batch_of(1)
    cache = DynamicCache()
    run(model, ids, cache, 0, PROMPT)
    kept = uneven(cache)
    ragged = RaggedCache.of(cache, kept)
    model.config._attn_implementation = "flash_attention_2"
    assert off(stepwise(model, ids, ragged), right(name, ids, kept)) < TOLERANCE[torch.float32]


def test_what_is_evicted_while_generating_is_not_seen_by_later_queries_alone() -> None:
    model, ids, again = make("llama", "sdpa"), batch_of(1), PROMPT + 9
    cache = prefilled(model, ids)
    first = uneven(cache)
    ragged = RaggedCache.of(cache, first)
    before = run(model, ids, ragged, PROMPT, again)
    draw = torch.Generator().manual_seed(1)
    second = {number: torch.rand((1, 2, again), generator=draw) < 0.5 for number in first}
    ragged.evict(second)
    after = stepwise(model, ids, ragged, [(again, again + 1), (again + 1, END)])
    assert off(before, right("llama", ids, first, past=again)) < TOLERANCE[torch.float32]
    both = {n: torch.cat((first[n], torch.ones(1, 2, again - PROMPT, dtype=torch.bool)), 2) & second[n] for n in first}
    eager = make("llama", "eager")
    with hiding(eager, first), hiding(eager, both, again), torch.no_grad():
        expected = eager(ids, use_cache=False).logits[:, again:]
    assert off(after, expected) < TOLERANCE[torch.float32]
    held = [*both[1][0, 1].nonzero()[:, 0].tolist(), *range(again, END)]
    assert ragged.positions(1, 1).tolist() == held


def test_bytes_and_cells_are_those_that_are_kept() -> None:
    model, ids = make("llama", "sdpa"), batch_of(1)
    cache = prefilled(model, ids)
    kept = {number: torch.arange(PROMPT).expand(1, 2, -1) % 10 == 0 for number in range(2)}
    kept[0][0, 0] = False
    ragged = RaggedCache.of(cache, kept)
    assert ragged.cells() == 30
    assert ragged.ragged[0].counts == [[0, 10]]
    held = sum(
        part.numel() * part.element_size() for n in range(2) for h in range(2) for part in ragged.ragged[n].head(h)
    )
    room = 16 * 4 * (2 * 8 * 4 + 4)  # tokens, heads, and of each two vectors and a position
    assert ragged.nbytes == held + room
    whole = RaggedCache.of(cache, {})
    assert whole.cells() == 4 * PROMPT
    assert whole.nbytes == 4 * PROMPT * 2 * 8 * 4


def test_many_tokens_are_appended_one_by_one() -> None:
    """More than there is room for when the cache is made."""
    model, ids = make("llama", "sdpa"), batch_of(1)
    cache = prefilled(model, ids)
    kept = uneven(cache)
    steps = [(at, at + 1) for at in range(PROMPT, END)]
    assert off(stepwise(model, ids, RaggedCache.of(cache, kept), steps), right("llama", ids, kept)) < 1e-5


def test_kept_sets_are_masks_or_positions() -> None:
    model, ids = make("llama", "sdpa"), batch_of(1)
    cache = prefilled(model, ids)
    lists = RaggedCache.of(cache, [None, [[5, 2], torch.tensor([7])]])
    assert [lists.positions(1, head).tolist() for head in range(2)] == [[2, 5], [7]]
    assert list(lists.ragged) == [1]
    for wrong in ([[1], [PROMPT]], [[1]], torch.ones(2, PROMPT), torch.ones(1, 2, PROMPT - 1).bool()):
        with pytest.raises(UsageError, match=r"kept set"):
            RaggedCache.of(cache, {0: wrong})


def test_answers_are_taken_away_again_but_not_what_came_before_an_eviction() -> None:
    model, ids = make("llama", "sdpa"), batch_of(1)
    cache = prefilled(model, ids)
    ragged = RaggedCache.of(cache, uneven(cache))
    first = run(model, ids, ragged, PROMPT, END)
    ragged.crop(PROMPT)
    assert torch.equal(run(model, ids, ragged, PROMPT, END), first)
    ragged.crop(-2)
    assert ragged.get_seq_length() == END - 2
    with pytest.raises(ToolError, match=f"cropped to {PROMPT - 1} tokens"):
        ragged.crop(PROMPT - 1)


@pytest.mark.parametrize(
    ("change", "sequences"),
    [
        (lambda cache: cache.reorder_cache(torch.tensor([1, 1, 0])), [1, 1, 0]),
        (lambda cache: cache.batch_select_indices(torch.tensor([2])), [2]),
        (lambda cache: cache.batch_repeat_interleave(2), [0, 0, 1, 1, 2, 2]),
    ],
)
def test_sequences_of_a_batch_change_places(change: Callable[[Any], None], sequences: list[int]) -> None:
    model, ids = make("llama", "sdpa"), batch_of(3)
    cache = prefilled(model, ids)
    ragged = RaggedCache.of(cache, uneven(cache))
    same = RaggedCache.of(cache, uneven(cache))
    change(ragged)
    assert off(stepwise(model, ids[sequences], ragged), stepwise(model, ids, same)[sequences]) < 1e-5


@pytest.mark.parametrize("beams", [1, 3])
def test_generate_goes_on_in_it(beams: int) -> None:
    model, ids = make("llama", "sdpa"), batch_of(1)
    cache = prefilled(model, ids[:, :PROMPT])
    kept = uneven(cache)
    ragged = RaggedCache.of(cache, kept)
    if beams > 1:
        ragged.batch_repeat_interleave(beams)
    options: dict[str, Any] = {"do_sample": False, "max_new_tokens": 8, "eos_token_id": None, "num_beams": beams}
    found = model.generate(ids[:, : PROMPT + 1], past_key_values=ragged, **options)
    assert found.shape == (1, PROMPT + 9)
    if beams == 1:
        expected = ids[:, : PROMPT + 1]
        for _ in range(8):
            logits = right("llama", expected, kept, past=expected.shape[1])
            expected = torch.cat((expected, logits[:, -1:].argmax(-1)), 1)
        assert torch.equal(found, expected)


def test_what_it_cannot_be_used_for_is_refused_by_name() -> None:
    model, ids = make("llama", "sdpa"), batch_of(1)
    cache = prefilled(model, ids)
    kept = uneven(cache)
    eager = make("llama", "eager")
    with pytest.raises(ToolError, match=r'attn_implementation="sdpa"'):
        run(eager, ids, RaggedCache.of(cache, kept), PROMPT, END)
    ragged = RaggedCache.of(cache, kept)
    with pytest.raises(ToolError, match="keys of 2 and 2"):
        run(model, ids.repeat(2, 1), ragged, PROMPT, END)
    with pytest.raises(ToolError, match="reset"):
        ragged.reset()
    with pytest.raises(ToolError, match="RaggedLayer"):
        RaggedCache.take_over(ragged, 0, kept[0])
    with pytest.raises(ToolError, match="not of a RaggedCache"):
        RaggedCache.of(ragged, kept)
    with pytest.raises(ToolError, match="DynamicSlidingWindowLayer"):
        RaggedCache.of(prefilled(make("gemma3", "sdpa"), ids), {0: kept[0]})


def test_on_a_device_it_mixes_no_devices_and_says_the_same_to_the_bit() -> None:
    def said(model: Any, ids: Tensor) -> Tensor:
        cache = prefilled(model, ids)
        ragged = RaggedCache.of(cache, uneven(cache))
        logits = [stepwise(model, ids, ragged)]
        ragged.crop(PROMPT + 2)
        ragged.reorder_cache(ids[:, 0].argsort())
        ragged.evict({1: [[0, 5], [PROMPT, PROMPT + 1]]} if len(ids) == 1 else {1: torch.ones(2, 2, PROMPT + 2) > 0})
        logits.append(run(model, ids, ragged, PROMPT + 2, END))
        assert all(part.device == ids.device for part in ragged.ragged[1].head(0))
        return torch.cat(logits, 1).cpu()

    for sequences in (1, 2):
        here = said(make("qwen3", "sdpa"), batch_of(sequences))
        with PretendedDevice():
            there = said(put_model(make("qwen3", "sdpa")), put(batch_of(sequences)))
        assert torch.equal(here, there)


def test_padding_is_seen_as_the_model_has_it() -> None:
    """Its own mask hides padded tokens, whichever of them are held."""
    model, ids, padded = make("llama", "sdpa"), batch_of(2), torch.ones(2, END, dtype=torch.long)
    padded[1, :7] = 0
    cache = DynamicCache()
    with torch.no_grad():
        model(ids[:, :PROMPT], attention_mask=padded[:, :PROMPT], past_key_values=cache)
        kept = uneven(cache)
        named = {"attention_mask": padded}
        found = model(ids[:, PROMPT:], past_key_values=RaggedCache.of(cache, kept), **named).logits
        eager = make("llama", "eager")
        with hiding(eager, kept):
            expected = eager(ids, attention_mask=padded, use_cache=False).logits[:, PROMPT:]
    assert off(found, expected) < TOLERANCE[torch.float32]
