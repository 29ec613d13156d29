"""The model's verdict: judged by a full forward pass under the same masks, head by head, written out here."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import STANDARD
from verdict_harness import PROMPT, random_masks, read, reference_logits

from evictlab_tools.attention import recompute_weights
from evictlab_tools.library import Lab
from evictlab_tools.shapes import kept_count
from evictlab_tools.verdict.bounds import LAYER_ORACLE, MODEL_ORACLE, ORACLE
from evictlab_tools.verdict.divergence import Predictions, compare

Mask = dict[int, torch.Tensor]


@pytest.mark.parametrize("model", STANDARD)
def test_the_continuation_under_masks_is_the_full_forward_under_the_same_masks(model: str) -> None:
    run = read(model)
    masks = random_masks(run, 5)
    (figures,) = run.measure([masks])
    expected = reference_logits(model, run, masks)
    p, q = run.predictions.logits.double().softmax(-1), expected.double().softmax(-1)
    kl = float((p * (p.log() - q.log())).sum(-1).mean())
    targets = torch.tensor(run.document.ids[run.prompt + 1 :])[:, None]
    nll = -(q[:-1].gather(1, targets).log() - p[:-1].gather(1, targets).log()).mean()
    assert figures.kl == pytest.approx(kl, rel=1e-3) and kl > 1e-3
    assert figures.delta_nll == pytest.approx(float(nll), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("model", STANDARD)
def test_keeping_all_changes_nothing(model: str) -> None:
    run = read(model)
    (figures,) = run.measure([[np.ones((2, PROMPT), np.bool_)] * 4])
    assert abs(figures.kl) < 1e-9
    assert abs(figures.delta_nll) < 1e-5


def test_each_head_and_layer_has_a_mask_of_its_own() -> None:
    run = read("llama")
    everything = [np.ones((2, PROMPT), np.bool_) for _ in range(4)]
    seen = set()
    for layer in range(4):
        for head in range(2):
            masks = [mask.copy() for mask in everything]
            masks[layer][head, 10:60] = False
            seen.add(round(run.measure([masks])[0].kl, 12))
    assert len(seen) == 8 and min(seen) > 0


def test_sliding_layers_are_left_alone_unless_asked_for() -> None:
    lab = Lab()
    run = read("gemma3")
    windows = [layer.window for _, layer in sorted(run.layers.items())]
    masks = run.keep(lab.open("knorm@kvpress"), [0.5])[0]
    assert [bool(mask.all()) for mask in masks] == [window > 0 for window in windows]
    (figures,) = run.measure([masks])
    assert figures.cached == 2 * 2 * PROMPT and figures.kept == 2 * 2 * PROMPT // 2
    everywhere = read("gemma3", sliding_layers=True).keep(lab.open("knorm@kvpress"), [0.5])[0]
    assert not any(mask.all() for mask in everywhere)


def test_oracles_keep_what_the_continuation_attends_most() -> None:
    run = read("llama")
    removed = [0.75, 0.5]
    per_head, per_layer = (run.keep_oracle(bound, removed) for bound in (ORACLE, LAYER_ORACLE))
    for number, layer in run.layers.items():
        weights = torch.stack([recompute_weights(layer, head)[PROMPT:, :PROMPT].mean(0) for head in range(6)])
        attention = weights.reshape(2, 3, PROMPT).mean(1).numpy()
        for budget, share in enumerate(removed):
            count = kept_count(PROMPT, share)
            for head in range(2):
                best = set(np.argsort(-attention[head])[:count])
                assert set(np.flatnonzero(per_head[budget][number][head])) == best
            assert per_layer[budget][number].sum() == 2 * count
            assert (attention * per_layer[budget][number]).sum() >= (attention * per_head[budget][number]).sum()


def test_budgets_of_the_whole_model_are_divided_among_the_layers_that_eviction_judges() -> None:
    lab = Lab()
    for architecture in ("llama", "gemma3"):
        run = read(architecture)
        judged = [number for number in sorted(run.layers) if run.is_evicted(number)]
        base = lab.open("knorm@kvpress")
        scores = np.stack([base.score(run.layer_input(number, base)) for number in judged])
        (masks,) = run.keep(lab.open("global@kvpress(knorm@kvpress)"), [0.6])
        kept = np.stack([masks[number] for number in judged])
        assert kept.sum() == scores.size - int(scores.size * 0.6)
        assert scores[kept].min() > scores[~kept].max()
        assert all(masks[number].all() for number in run.layers if number not in judged)
        (oracle,) = run.keep_oracle(MODEL_ORACLE, [0.6])
        attention = np.stack([run.future_attention[number] for number in judged])
        best = np.stack([oracle[number] for number in judged])
        assert best.sum() == len(judged) * attention.shape[1] * kept_count(PROMPT, 0.6)
        assert attention[best].min() >= attention[~best].max()


def test_scorers_see_what_the_models_attention_sees() -> None:
    """Observed attention, from the model's own attention rather than from what the library is given."""
    run = read("qwen3")
    scorer = Lab().open("=cumulative_attn")
    for number, layer in run.layers.items():
        weights = torch.stack([recompute_weights(layer, head)[:PROMPT, :PROMPT].sum(0) for head in range(6)])
        expected = weights.reshape(2, 3, PROMPT).mean(1).numpy()
        np.testing.assert_allclose(scorer.score(run.layer_input(number, scorer)), expected, rtol=1e-4)


def test_compare_is_the_divergence_and_the_change_of_the_likelihood() -> None:
    full = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    evicted = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    first = 0.5 * np.log(0.5 * (1 + np.e)) + 0.5 * np.log(0.5 * (1 + np.e) / np.e)
    assert compare(Predictions(full), evicted, [1]) == pytest.approx((first / 2, np.log((1 + np.e) / np.e) - np.log(2)))
