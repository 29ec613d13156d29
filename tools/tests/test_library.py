"""libevictlab from Python: right arrays in, scores and kept sets out, errors as exceptions."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evictlab_tools.binding import Library, find_library
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.library import ALL_QUERIES, Lab, LayerInput

HEADS, KV_HEADS, TOKENS, DIM = 6, 2, 90, 8


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


@pytest.fixture
def layer() -> LayerInput:
    draw = np.random.default_rng(3)
    q, k, v = (draw.normal(size=(h, TOKENS, DIM)).astype(np.float32) for h in (HEADS, KV_HEADS, KV_HEADS))
    return LayerInput(
        layer=1,
        num_layers=4,
        query_heads=HEADS,
        q=q,
        k=k,
        v=v,
        softmax_scale=DIM**-0.5,
        rope_inv_freq=(100.0 ** -np.arange(0, 1, 2 / DIM)).astype(np.float32),
    )


def test_knorm_is_the_negative_norm_and_keeps_the_shortest_keys(lab: Lab, layer: LayerInput) -> None:
    scorer = lab.open("knorm@kvpress")
    norms = np.linalg.norm(layer.k.astype(np.float64), axis=-1)
    np.testing.assert_allclose(scorer.score(layer), -norms, rtol=1e-6)
    kept = scorer.keep(layer, [0.5, 0.9])
    assert kept.mask.shape == (2, KV_HEADS, TOKENS)
    assert kept.mask.sum(-1).tolist() == [[45, 45], [int(90 * (1 - 0.9))] * 2]
    assert set(np.flatnonzero(kept.mask[0, 1])) == set(np.argsort(norms[1])[:45])


def test_window_attention_is_that_of_the_queries_given(lab: Lab, layer: LayerInput) -> None:
    scorer = lab.open("=window_attn:4")
    assert scorer.needs.queries == 4
    assert layer.q is not None
    scores = scorer.score(layer)
    expected = np.zeros((KV_HEADS, TOKENS))
    for head in range(HEADS):
        for i in range(TOKENS - 4, TOKENS):
            logits = layer.q[head, i].astype(np.float64) @ layer.k[head // 3, : i + 1].T.astype(np.float64) / DIM**0.5
            weights = np.exp(logits - logits.max())
            expected[head // 3, : i + 1] += weights / weights.sum() / 4 / 3
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    only_window = replace(layer, q=layer.q[:, -4:], first_query=TOKENS - 4)
    np.testing.assert_array_equal(scorer.score(only_window), scores)


def test_what_an_eviction_left_is_scored_at_its_true_positions(lab: Lab, layer: LayerInput) -> None:
    assert layer.q is not None
    kept = np.array([[0, 2, 3, 7, 40, 81, 82, 85, 89], [0, 1, 5, 6, 41, 80, 83, 84, 88]])
    k, v = (np.take_along_axis(x, kept[:, :, None], 1) for x in (layer.k, layer.v))
    types = (kept % 4).astype(np.uint8)
    left = replace(layer, k=k, v=v, q=layer.q[:, -4:], first_query=TOKENS - 4, positions=kept, seen=TOKENS)
    assert lab.open("=relative_pos").score(left).tolist() == (TOKENS - 1 - kept).tolist()
    assert lab.open("=token_type").score(replace(left, token_type=types)).tolist() == types.tolist()
    expected = np.zeros(kept.shape)
    for head in range(HEADS):
        for i in range(TOKENS - 4, TOKENS):
            logits = layer.q[head, i].astype(np.float64) @ k[head // 3].T.astype(np.float64) / DIM**0.5
            weights = np.where(kept[head // 3] <= i, np.exp(logits), 0)
            expected[head // 3] += weights / weights.sum() / 12
    np.testing.assert_allclose(lab.open("=window_attn:4").score(left), expected, rtol=1e-5, atol=1e-9)
    alike = replace(left, positions=kept[0], k=np.stack([k[0], k[0]]))
    assert lab.open("=position").score(alike).tolist() == [kept[0].tolist()] * 2
    with pytest.raises(UsageError, match="some is gone"):
        lab.open("=cumulative_attn").score(left)
    with pytest.raises(UsageError, match=r"at is \[2, 8\], not \[2, 9\]"):
        lab.open("=position").score(replace(left, positions=kept[:, 1:]))


def test_any_layout_and_float_type_gives_the_same(lab: Lab, layer: LayerInput) -> None:
    scorer = lab.open("expected_attention@kvpress")
    assert scorer.needs.queries == ALL_QUERIES
    assert layer.q is not None
    expected = scorer.score(layer)
    turned = {name: getattr(layer, name).transpose(1, 0, 2).copy().transpose(1, 0, 2) for name in "qkv"}
    np.testing.assert_array_equal(scorer.score(replace(layer, **turned)), expected)
    doubles = {name: getattr(layer, name).astype(np.float64) for name in "qkv"}
    np.testing.assert_array_equal(scorer.score(replace(layer, **doubles)), expected)
    padded = np.zeros((KV_HEADS, TOKENS + 5, DIM), np.float32)
    padded[:, :TOKENS] = layer.k
    np.testing.assert_array_equal(scorer.score(replace(layer, k=padded[:, :TOKENS])), expected)


def test_needs_spare_what_is_not_read(lab: Lab, layer: LayerInput) -> None:
    for text in ("knorm@kvpress", "keydiff@kvpress", "=key_cos*value_norm"):
        assert lab.open(text).needs.queries == 0
        assert np.isfinite(lab.open(text).score(replace(layer, q=None))).all()
    wrapped = lab.open("criticalkv@kvpress(knorm@kvpress)")
    assert wrapped.needs.wov_norm and wrapped.needs.budgeted and not wrapped.needs.uneven
    with pytest.raises(UsageError, match="norms of values behind the output projection"):
        wrapped.score(layer)
    assert wrapped.score(replace(layer, wov_norm=np.ones((HEADS, TOKENS), np.float32))).shape == (KV_HEADS, TOKENS)
    projected = lab.open("=leave_one_out:8:wo")
    assert projected.needs.wo_gram and not lab.open("=leave_one_out:8").needs.wo_gram
    with pytest.raises(UsageError, match="wo_gram is NULL"):
        projected.score(layer)
    with pytest.raises(UsageError, match="wo_gram is"):
        projected.score(replace(layer, wo_gram=np.ones((HEADS, DIM))))
    identity = replace(layer, wo_gram=np.tile(np.eye(DIM), (HEADS, 1, 1)))
    np.testing.assert_allclose(projected.score(identity), lab.open("=leave_one_out:8").score(layer), rtol=1e-5)


def test_head_budgets_keep_the_layers_sum(lab: Lab, layer: LayerInput) -> None:
    scorer = lab.open("adakv@kvpress(knorm@kvpress)")
    assert scorer.needs.uneven
    counts = scorer.keep(layer, [0.5]).mask[0].sum(-1)
    assert counts.sum() == 90 and counts[0] != counts[1]


def test_a_model_keeps_the_highest_scores_of_all_its_layers(lab: Lab, layer: LayerInput) -> None:
    scorer = lab.open("global@kvpress(knorm@kvpress)")
    assert scorer.needs.model_budgets and scorer.needs.uneven
    layers = [replace(layer, layer=number, k=layer.k * np.float32(1 + number / 4)) for number in range(3)]
    model = scorer.model([0.5, 0.9])
    for one in layers:
        model.add(one)
    scores = np.stack([lab.open("knorm@kvpress").score(one) for one in layers])
    for budget, removed in enumerate((0.5, 0.9)):
        kept = np.stack([model.keep(number).mask[budget] for number in range(3)])
        assert kept.sum() == scores.size - int(scores.size * removed)
        assert scores[kept].min() > scores[~kept].max()
    with pytest.raises(UsageError, match="looks at all layers"):
        scorer.keep(layer, [0.5])
    with pytest.raises(UsageError, match="layer 7 was not added"):
        model.keep(7)


def test_errors_say_what_is_wrong(lab: Lab, layer: LayerInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"snapvk.*snapkv"):
        lab.open("snapvk")
    with pytest.raises(UsageError, match="needs queries"):
        lab.open("snapkv@kvpress").score(replace(layer, q=None))
    with pytest.raises(UsageError, match=r"v is \[2, 89, 8\], not \[2, 90, 8\]"):
        lab.open("knorm@kvpress").score(replace(layer, v=layer.v[:, 1:]))
    with pytest.raises(UsageError, match="removed fraction of 2"):
        lab.open("knorm@kvpress").score(layer, 2)
    broken = layer.k.copy()
    broken[1, 7, 3] = np.nan
    with pytest.raises(ToolError, match="k has a value that is not finite at head 1, row 7"):
        lab.open("knorm@kvpress").score(replace(layer, k=broken))
    with pytest.raises(UsageError, match="no captured suite"):
        lab.library.suite_hash(str(tmp_path))
    with pytest.raises(UsageError, match=r"no captured suite 'nowhere'; there are: .*smollm2"):
        lab.library.suite_folder("nowhere")
    monkeypatch.setenv("EVICTLAB_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(ToolError, match="EVICTLAB_LIBRARY"):
        find_library()
    (tmp_path / "none.so").write_bytes(b"no library")
    with pytest.raises(ToolError, match="cannot be loaded"):
        Library(tmp_path / "none.so")


def test_a_lab_reports_what_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "broken.so").write_bytes(b"no plugin")
    lab = Lab([tmp_path])
    assert len(lab.problems) == 1 and "broken.so" in lab.problems[0]
    assert "snapkv@kvpress" in lab.scorers
    assert lab.split("snapkv@kvpress:window=8,kernel=3,knorm") == ["snapkv@kvpress:window=8,kernel=3", "knorm"]


ROOT = Path(__file__).resolve().parents[2]
HEADERS = {name: ROOT / name for name in ("capi/include/evictlab/evictlab.h", "framework/include/evictlab/scorer.h")}
TAG = re.compile(r"/\* \[(thread-safe|instance|last)\]")


def untagged(header: str) -> list[str]:
    """Functions of a C header that say neither before nor behind them which threads may call them."""
    comment = r"(?P<before>/\*(?:(?!\*/).)*\*/\n\s*)?"
    exported = (
        rf"{comment}EVL_EXPORT (?!const evl_plugin)[^;(]*?(?P<name>evl_\w+)\([^;]*;(?P<behind> +/\*(?:(?!\*/).)*\*/)?"
    )
    pointer = rf"{comment}(?<=    )[\w ]+\*? ?\(\*(?P<name>\w+)\)\([^;]*;(?P<behind> +/\*(?:(?!\*/).)*\*/)?"
    found = [*re.finditer(exported, header, re.DOTALL), *re.finditer(pointer, header, re.DOTALL)]
    assert found
    return [match["name"] for match in found if not TAG.search(f"{match['before'] or ''}{match['behind'] or ''}")]


@pytest.mark.parametrize("path", HEADERS.values(), ids=HEADERS)
def test_each_function_of_a_c_header_says_which_threads_may_call_it(path: Path) -> None:
    assert untagged(path.read_text("utf-8")) == []
