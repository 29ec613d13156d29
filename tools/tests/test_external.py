"""Rows of Python's own: any press of kvpress and any function, beside the scorers of libevictlab."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_source
from verdict_harness import verdict_of

from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.external.names import is_external, separate
from evictlab_tools.external.scorer import ExternalScorer, open_external
from evictlab_tools.library import Lab
from evictlab_tools.shapes import Shape
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import DocumentRun, Judge

MINE = """
import kvpress
import torch

ada = kvpress.AdaKVPress(press=kvpress.KnormPress())
narrow = kvpress.SnapKVPress(window_size=8)
pyramid = kvpress.PyramidKVPress(window_size=8)

def small_keys(k):
    return -k.norm(dim=-1)

def recent(q, k, layer, scale=1.0):
    return [list(range(k.shape[1]))] * k.shape[0]

def wrong_shape(v):
    return v[0, :, 0]

def no_number(v):
    return torch.full(v.shape[:2], float("nan"))

def fails(k, **others):
    raise KeyError(sorted(others)[0])

def asks_for_more(k, rope):
    return k

class Doubling(kvpress.KnormPress):
    def compress(self, module, hidden_states, keys, values, attentions, kwargs):
        return keys[:, :, ::2] * 2, values[:, :, ::2]

class Ragged(kvpress.KnormPress):
    def compress(self, module, hidden_states, keys, values, attentions, kwargs):
        n = keys.shape[2] - 5 * module.layer_idx
        return keys[:, :, :n], values[:, :, :n]

number = 3
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_scorers.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "my_scorers", raising=False)


def read(model: str = "llama", tokens: int = 120, shape: Shape | None = None) -> DocumentRun:
    rng = np.random.default_rng(5)
    ids = (0, *(1 + rng.permutation(256)[: tokens - 1]).tolist())  # none twice: equal tokens have nearly equal keys
    judge = Judge(make_source(model), shape=shape or Shape())
    return judge.read(TokenDocument("mine", "text", "test", ids, tokens - 20))


def kept(run: DocumentRun, scorer: str, removed: float = 0.5) -> list[Any]:
    return run.keep(ExternalScorer(scorer), [removed])[0]


def test_names_of_python_are_told_from_scorers_and_formulas() -> None:
    assert is_external("kvpress:SnapKVPress") and is_external("a.b_2:c")
    for text in ("snapkv@kvpress:window=8", "h2o:window=16", "=window_attn:64", "h2o", "a/b.so", "mine.formula"):
        assert not is_external(text)
    names, lists = separate(["h2o:window=1,decay=2,m:f,=if(a, rank:key_norm, b)", "m:f", "adakv(snapkv)"])
    assert names == ["m:f"]
    assert lists == ["h2o:window=1,decay=2,=if(a, rank:key_norm, b)", "adakv(snapkv)"]


@pytest.mark.parametrize(
    ("press", "scorer"),
    [
        ("kvpress:SnapKVPress", "snapkv@kvpress"),
        ("my_scorers:narrow", "snapkv@kvpress:window=8"),
        ("kvpress:KnormPress", "knorm@kvpress"),
        ("kvpress:ObservedAttentionPress", "observed_attention@kvpress"),
        ("my_scorers:ada", "adakv@kvpress(knorm@kvpress)"),
        ("my_scorers:pyramid", "pyramidkv@kvpress:window=8"),
    ],
)
def test_a_press_keeps_what_its_scorer_keeps(press: str, scorer: str) -> None:
    run, ours = read("llama", 220), Lab().open(scorer)  # SnapKV's window of 64, of equal scores, stays whole
    theirs = ExternalScorer(press)
    for removed in (0.25, 0.5):
        (own,), (other,) = run.keep(ours, [removed]), run.keep(theirs, [removed])
        for mask, wanted in zip(other, own, strict=True):
            assert np.array_equal(mask, wanted)
        assert run.measure([other])[0] == run.measure([own])[0]
    assert theirs.row_class["budgets"] == ours.row_class["budgets"]
    assert all(getattr(module, "masked_key_indices", None) is None for module in run.model.modules())


def test_a_function_is_given_what_its_parameters_name() -> None:
    run = read()
    masks = kept(run, "my_scorers:small_keys")
    for number, mask in enumerate(masks):
        norms = run.layers[number].k[:, : run.prompt].norm(dim=-1).numpy()
        assert (mask.sum(-1) == run.prompt // 2).all()
        assert all(norms[h][mask[h]].max() <= norms[h][~mask[h]].min() for h in range(len(mask)))
    assert all(mask[:, -50:].all() for mask in kept(run, "my_scorers:recent"))


def test_functions_go_at_the_grain_of_engines_and_presses_do_not() -> None:
    shape = Shape(granularity="model", block=10, sinks=10)
    masks = read(shape=shape).keep(ExternalScorer("my_scorers:small_keys"), [0.5])[0]
    assert all(np.array_equal(mask, masks[0]) for mask in masks) and masks[0][:, :10].all()
    assert masks[0].reshape(2, -1, 10).all(-1).sum() == 10
    with pytest.raises(UsageError, match="a press chooses each head's tokens by itself"):
        open_external(["kvpress:KnormPress"], shape, decodes=False)
    with pytest.raises(UsageError, match="joined by mean alone"):
        open_external(["my_scorers:recent"], Shape(granularity="layer", join="max"), decodes=False)
    with pytest.raises(UsageError, match="--protocol decode has none"):
        open_external(["my_scorers:recent"], Shape(), decodes=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nowhere_at_all:Press", "No module named 'nowhere_at_all'"),
        ("kvpress:NoPress", "the module kvpress has no NoPress"),
        ("my_scorers:number", "neither a press nor a function, but int"),
        ("my_scorers:asks_for_more", "its parameter rope is none that it can be given; there are q "),
    ],
)
def test_what_is_no_scorer_is_refused_at_once(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ExternalScorer(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("my_scorers:wrong_shape", r"gave \[100\] at layer 0, not \[KV heads\]\[tokens\], \[2, 100\]"),
        ("my_scorers:no_number", "gave no number at layer 0, head 0, token 0"),
        ("my_scorers:fails", "failed at layer 0: KeyError: 'layer'"),
        ("my_scorers:Doubling", "changes keys or values"),
        ("my_scorers:Ragged", "from layer to layer, and is taken for one with uniform budgets"),
        ("kvpress:AdaKVPress", "cannot be made without arguments"),
        ("kvpress:KeyRerotationPress", "cannot be made without arguments"),
        ("kvpress:ThinKPress", "has no compression_ratio|cannot be set|changes keys"),
        ("kvpress:KVzipPress", "failed|more than once|cannot be|changes keys"),
    ],
)
def test_what_cannot_be_a_row_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(ToolError, match=why) as refused:
        kept(read(), text)
    assert text in str(refused.value)


def test_verdicts_have_such_rows_beside_all_others(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = (
        "my_scorers:narrow,snapkv@kvpress:window=8,my_scorers:small_keys,=if(is_sink, keep, key_norm),my_scorers:fails"
    )
    (suite / "my_scorers.py").write_text(MINE)
    with pytest.raises(ToolError, match="1 scorer"):
        verdict_of(suite, "--scorers", asked)
    verdict = json.loads((suite / "verdict.json").read_text())
    rows = {row["scorer"]: row for row in verdict["rows"]}
    assert "my_scorers:fails" not in rows
    assert rows["my_scorers:narrow"]["kl"] == rows["snapkv@kvpress:window=8"]["kl"]
    assert rows["my_scorers:narrow"]["external"].startswith("kvpress 0.5")
    assert rows["my_scorers:narrow"]["class"] == {
        "reads": "qkv",
        "query_aware": None,
        "fused_attention": True,
        "passes": 1,
        "calibrated": False,
        "budgets": "uniform",
    }
    assert rows["my_scorers:small_keys"]["external"].startswith("sha256:")
    assert "my_scorers:narrow" in capsys.readouterr().out  # in the table of evictlab report
