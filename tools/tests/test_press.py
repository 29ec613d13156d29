"""EvictlabPress in the real model: it keeps what kvpress's own presses keep.

Kept sets are compared as the fixtures of the methods are: where the score at the boundary is clear they are equal; else
the counts are, and the sets differ only where the score is within rounding of it.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import make, tokens
from conftest import encode, make_model, make_source
from numpy.typing import NDArray

kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")

from transformers import DynamicCache  # noqa: E402

from evictlab_tools.errors import ToolError, UsageError  # noqa: E402
from evictlab_tools.library import Lab  # noqa: E402
from evictlab_tools.models import open_model  # noqa: E402
from evictlab_tools.press import EvictlabPress  # noqa: E402
from evictlab_tools.verdict.documents import TokenDocument  # noqa: E402
from evictlab_tools.verdict.judge import Judge  # noqa: E402

CLOSE = 1e-5  # relative: a boundary or a position nearer than this is decided by rounding
TOKENS = 297

PRESSES: dict[str, Callable[[float], Any]] = {
    "snapkv@kvpress": kvpress.SnapKVPress,
    "expected_attention@kvpress": kvpress.ExpectedAttentionPress,
    "keydiff@kvpress": kvpress.KeyDiffPress,
    "knorm@kvpress": kvpress.KnormPress,
    "adakv@kvpress(snapkv@kvpress)": lambda c: kvpress.AdaKVPress(kvpress.SnapKVPress(c)),
    "pyramidkv@kvpress": kvpress.PyramidKVPress,
    "criticalkv@kvpress(expected_attention@kvpress:use_vnorm=false)": lambda c: kvpress.CriticalKVPress(
        kvpress.ExpectedAttentionPress(c, use_vnorm=False)
    ),
    "cur@kvpress": kvpress.CURPress,
    "non_causal_attn@kvpress": kvpress.NonCausalAttnPress,
    "cap@kvpress": kvpress.CapPress,
    "egchunkkv@kvpress(keydiff@kvpress)": lambda c: kvpress.EntropyGatedChunkKVPress(kvpress.KeyDiffPress(c)),
}
REQUIRED = [*list(PRESSES)[:4], "cur@kvpress", "non_causal_attn@kvpress", "cap@kvpress"]
REQUIRED += ["egchunkkv@kvpress(keydiff@kvpress)"]

Sets = list[list[set[int]]]  # [layer][H_kv]


@dataclass
class Full:
    """The run without eviction."""

    ids: list[int]
    cache: DynamicCache


def run(model: Any, ids: list[int], press: Any) -> DynamicCache:
    cache = DynamicCache()
    with torch.no_grad(), press(model):
        model(input_ids=torch.tensor([ids]), past_key_values=cache, logits_to_keep=1)
    return cache


def run_full(model: Any, ids: list[int]) -> Full:
    return Full(ids, run(model, ids, kvpress.KnormPress(0.0)))


def kept(model: Any, full: Full, press: Any) -> tuple[Sets, list[NDArray[np.float64] | None]]:
    """Kept positions, found by their keys in the run without eviction; and the scores where the press has any."""
    ids = full.ids
    scores: list[NDArray[np.float64] | None] = [None] * len(model.model.layers)  # none of layers that are left alone
    if hasattr(press, "score"):
        score = press.score

        def note(*arguments: Any, **named: Any) -> Any:
            result = score(*arguments, **named)
            scores[arguments[0].layer_idx] = result[0].double().numpy()
            return result

        press.score = note
    cache = run(model, ids, press)
    found: Sets = []
    for number, layer in enumerate(model.model.layers):
        keys, whole = cache.layers[number].keys[0], full.cache.layers[number].keys[0]
        masked = getattr(layer.self_attn, "masked_key_indices", None)
        of_layer = []
        for head in range(keys.shape[0]):
            if masked is not None:
                gone = {int(p) for h, p in zip(masked[1], masked[2], strict=True) if int(h) == head}
                of_layer.append(set(range(len(ids))) - gone)
                continue
            same = (keys[head][:, None, :] == whole[head][None, :, :]).all(-1)
            of_layer.append({int(row.nonzero()[0]) for row in same})
            assert len(of_layer[-1]) == keys.shape[1]
        found.append(of_layer)
        layer.self_attn.masked_key_indices = None
    return found, scores


def undecided(ours: set[int], theirs: set[int], scores: NDArray[np.float64]) -> bool:
    """Whether the sets differ only at positions whose score is within rounding of the boundary."""
    if len(ours) != len(theirs):
        return False
    boundary = np.sort(scores)[::-1][len(theirs) - 1]
    return all(abs(scores[p] - boundary) <= CLOSE * abs(boundary) for p in ours ^ theirs)


def check(model: Any, full: Full, scorer: str, removed: float) -> int:
    """How many sets rounding decided."""
    theirs, scores = kept(model, full, PRESSES[scorer](removed))
    ours, _ = kept(model, full, EvictlabPress(removed, scorer))
    differing = 0
    for layer, (our_layer, their_layer) in enumerate(zip(ours, theirs, strict=True)):
        for head, (our_set, their_set) in enumerate(zip(our_layer, their_layer, strict=True)):
            if our_set != their_set:
                differing += 1
                of_layer = scores[layer]
                assert of_layer is not None, (scorer, removed, layer, head, sorted(our_set ^ their_set))
                assert undecided(our_set, their_set, of_layer[head]), (scorer, removed, layer, head)
    return differing


def real_model(tokens: int) -> tuple[Any, Full]:
    """The model that EVICTLAB_GGUF names, and its run over so many tokens; skips the test without one."""
    gguf = os.environ.get("EVICTLAB_GGUF")
    if not gguf:
        pytest.skip("EVICTLAB_GGUF names no model")
    source = open_model(gguf)
    text = (Path(__file__).parents[2] / "LICENSE").read_text(encoding="utf-8") * 2
    model = source.load("sdpa")
    return model, run_full(model, source.tokenizer.encode(text)[:tokens])


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Full]:
    return real_model(TOKENS)


@pytest.mark.slow
@pytest.mark.parametrize("removed", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("scorer", PRESSES)
def test_the_real_model_keeps_what_kvpresss_own_press_keeps(
    smollm2: tuple[Any, Full], scorer: str, removed: float
) -> None:
    model, full = smollm2
    sets = len(model.model.layers) * model.config.num_key_value_heads
    # Rounding may decide a few of them; in Knorm's layer 0 repeated tokens tie.
    assert check(model, full, scorer, removed) <= sets // 10


# Not among them: Knorm on Qwen3, where the normalisation of keys leaves all of one norm.
SMALL = [(model, scorer) for model in ("llama", "llama_yarn", "mistral_full") for scorer in REQUIRED]
SMALL += [("qwen3", scorer) for scorer in REQUIRED if scorer != "knorm@kvpress"]


@pytest.mark.parametrize(("model", "scorer"), SMALL)
def test_small_models_of_every_family_keep_the_same(model: str, scorer: str) -> None:
    made = make(model, "sdpa")
    assert check(made, run_full(made, tokens()[0].tolist()), scorer, 0.5) <= 1


def test_wrapping_presses_use_its_scores() -> None:
    model = make_model("llama", "sdpa")
    full = run_full(model, encode("a press in a press, " * 8))
    wrapped, _ = kept(model, full, kvpress.AdaKVPress(EvictlabPress(0.5, "knorm@kvpress")))
    ours, _ = kept(model, full, EvictlabPress(0.5, "adakv@kvpress(knorm@kvpress)"))
    assert wrapped == ours


def test_what_a_press_cannot_do_is_told() -> None:
    with pytest.raises(ToolError, match="token types"):
        EvictlabPress(0.5, "=token_type")
    with pytest.raises(UsageError, match="snapvk"):
        EvictlabPress(0.5, "snapvk")


@torch.no_grad()
def test_a_budget_of_the_whole_model_is_masked_in_all_layers_when_the_last_one_was_scored() -> None:
    """Twice, for a second prompt must not see the first one's layers."""
    model = make("llama", "sdpa")
    for ids in (tokens(40)[0].tolist(), tokens(55)[0].tolist()):
        full = run_full(model, ids)
        scores = -np.stack([layer.keys[0].float().norm(dim=-1).numpy() for layer in full.cache.layers])
        sets, _ = kept(model, full, EvictlabPress(0.5, "global@kvpress(knorm@kvpress)"))
        mask = np.zeros(scores.shape, np.bool_)
        for layer, of_layer in enumerate(sets):
            for head, positions in enumerate(of_layer):
                mask[layer, head, sorted(positions)] = True
        assert mask.sum() == scores.size - scores.size // 2
        assert scores[mask].min() > scores[~mask].max()


def blocks_that_stay(weights: torch.Tensor, retained: int) -> set[int]:
    """OpenVINO GenAI's NORM_SUM of a layer's attention [H_q][n][n]: blocks of 4; the first and the newest 2 stay."""
    tokens = weights.shape[1]
    received = weights[:, -8:].double().sum(dim=(0, 1))
    highest = [received[i : i + 7].max() for i in range(tokens)]
    values = {b: sum(highest[4 * b : 4 * b + 4]) for b in range(1, tokens // 4 - 2)}
    leaving = sorted(values, key=lambda b: values[b])[: tokens // 4 - retained // 4]
    return set(range(tokens)) - {4 * b + i for b in leaving for i in range(4)}


@torch.no_grad()
def test_presses_and_verdicts_keep_the_same_whole_blocks_in_all_heads_of_a_layer() -> None:
    scorer, ids = "norm_sum@openvino:start=4,recent=8,block=4", encode("a press in a press, " * 8)
    full = run_full(make_model("llama", "sdpa"), ids)
    sets, _ = kept(make_model("llama", "sdpa"), full, EvictlabPress(0.5, scorer))
    document = TokenDocument("text", "prose", "test", (*ids, *encode("and on")), len(ids))
    read = Judge(make_source("llama")).read(document)
    (masks,) = read.keep(Lab().open(scorer), [0.5])
    attentions = make_model("llama", "eager")(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    for number, (of_layer, weights) in enumerate(zip(sets, attentions, strict=True)):
        expected = blocks_that_stay(weights[0], len(ids) // 2)
        assert len(expected) == 81  # 20 blocks, and a last one that is not full
        assert all(of_head == expected for of_head in of_layer)
        assert all(set(np.flatnonzero(mask)) == expected for mask in masks[number])
