"""--scoring torch: columns by PyTorch, and the same sets as libevictlab's own.

What is compared: kept sets are equal but for tokens whose scores lie within EPSILON of each other, relative to the
largest finite score of the layer; scores differ by what single precision leaves.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_model, make_source
from pretend_device import PretendedDevice, put
from safetensors import safe_open
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from evictlab_tools.device import DeviceConfig
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.library import Kept, Lab, LayerInput
from evictlab_tools.prompt.rotation import Rope
from evictlab_tools.scoring.choice import NATIVE, Scoring, scoring_on
from evictlab_tools.scoring.layer import Layer
from evictlab_tools.scoring.torch_scorer import TorchScorer
from evictlab_tools.verdict import command as command_module
from evictlab_tools.verdict.command import command
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import DocumentRun, Judge

EPSILON = 1e-5
PROMPT, REMOVED = 100, (0.9, 0.5)
TORCH = Scoring("torch", True)
WITHOUT_FORM = {"adaptive_rkv@openvino", "keydiff@paper"}  # their plugins take queries and keys themselves
# Between them a column of each kind: keys, values, windows, all queries, queries to come, the output projection.
SOME = [
    "snapkv@kvpress",
    "evolved@real",
    "adakv@kvpress(expected_attention@kvpress)",
    "h2o@paper",
    "rkv@paper",
    "cap@kvpress",
    "compactor@kvpress",
    "lagkv@kvpress",
    "criticalkv@kvpress(snapkv@kvpress)",
    "dropkv@kvpress:window=8",
    "=window_std:16 + attn_entropy - zscore:key_norm",
]


def run_of(model: str, **options: Any) -> DocumentRun:
    text = "".join(chr(97 + (i * i + i // 7) % 26) for i in range(PROMPT + 20))
    source = make_source(model)
    ids = tuple(source.tokenizer.encode(text)[: PROMPT + 16])
    return Judge(source, threads=1, **options).read(TokenDocument("a", "prose", "test", ids, PROMPT))


def check_same(native: Kept, by_torch: Kept, what: str) -> None:
    finite = np.isfinite(native.scores)
    size = float(np.abs(native.scores[finite]).max(initial=1e-300))
    np.testing.assert_array_equal(by_torch.scores[~finite], native.scores[~finite], err_msg=what)
    np.testing.assert_allclose(
        by_torch.scores[finite], native.scores[finite], rtol=3e-4, atol=3e-5 * size, err_msg=what
    )
    for ours, theirs, scores in zip(native.mask, by_torch.mask, native.scores, strict=True):
        assert ours.sum() == theirs.sum(), what
        if (ours != theirs).any():
            assert np.ptp(scores[ours != theirs]) <= EPSILON * size, what


def outcome(keep: Callable[[], Kept]) -> Kept | str:
    """What is kept, or why nothing is: a prompt that is too short for a window, say."""
    try:
        return keep()
    except ToolError as error:
        return str(error)


@pytest.mark.parametrize("family", ["llama_yarn", "gemma3"])
def test_every_scorer_but_two_keeps_the_same(family: str) -> None:
    run, lab = run_of(family), Lab()
    layer = next(number for number in run.layers if run.is_evicted(number))
    compared, refused = 0, set()
    for text in lab.scorers:
        scorer = lab.open(text)
        try:
            TorchScorer(scorer)
        except UsageError as error:
            assert "--scoring native" in str(error)
            refused.add(text)
            continue
        if scorer.needs.model_budgets:
            continue
        run.judge.scoring = NATIVE
        run.prepare(scorer)
        native = outcome(lambda scorer=scorer: scorer.keep(run.layer_input(layer, scorer), REMOVED))  # type: ignore[misc]
        run.judge.scoring = TORCH
        by_torch = outcome(lambda scorer=scorer: scorer.keep(run.scored(layer, scorer), REMOVED))  # type: ignore[misc]
        if isinstance(native, str) or isinstance(by_torch, str):
            assert native == by_torch
            continue
        check_same(native, by_torch, text)
        compared += 1
    assert refused == WITHOUT_FORM
    assert compared > 30


def test_budgets_over_the_model_and_second_passes_are_the_same() -> None:
    run, lab = run_of("llama"), Lab()
    for text in ("global@kvpress(expected_attention@kvpress)", "kvzip@kvpress", "cake@paper"):
        scorer = lab.open(text)
        run.judge.scoring = NATIVE
        native = run.keep(scorer, REMOVED)
        run.judge.scoring = TORCH
        by_torch = run.keep(scorer, REMOVED)
        differing = sum(
            int((a != b).sum()) for x, y in zip(native, by_torch, strict=True) for a, b in zip(x, y, strict=True)
        )
        assert differing <= 2, text


class Stored:
    """A layer of a shipped document, as its trace has it."""

    def __init__(self, number: int) -> None:
        file = Lab().library.suite_folder("smollm2") / "emma.safetensors"
        with safe_open(file, "pt") as trace:
            said, name = trace.metadata(), f"layers.{number}"
            self.q, self.k, self.v = (
                trace.get_tensor(f"{name}.{part}").float() * trace.get_tensor(f"{name}.{part}.scale").float()[..., None]
                for part in "qkv"
            )
            self.rope = Rope(trace.get_tensor(f"{name}.rope_inv_freq"))
        self.number, self.layers, self.scale = number, int(said["num_layers"]), float(said["softmax_scale"])
        self.prompt = int(said["prompt_len"])
        self.q, self.k, self.v = (x[:, : self.prompt].contiguous() for x in (self.q, self.k, self.v))

    def native(self) -> LayerInput:
        q, k, v = (x.numpy() for x in (self.q, self.k, self.v))
        frequencies = self.rope.frequencies.numpy()
        return LayerInput(
            self.number, self.layers, k, v, self.scale, len(q), q, 0, frequencies, rope_scale=self.rope.factor
        )

    def to(self, change: Callable[[Tensor], Tensor]) -> Layer:
        q, k, v = (change(x)[None] for x in (self.q, self.k, self.v))
        rope = Rope(change(self.rope.frequencies), self.rope.factor)
        return Layer(
            self.number, self.layers, len(self.q), k, v, self.scale, rope, asked=lambda first, last: q[:, :, first:last]
        )


TRACED = [
    text for text in SOME if text not in ("evolved@real", "criticalkv@kvpress(snapkv@kvpress)")
]  # W_o is not there


@pytest.mark.parametrize("number", [1, 28])
def test_layers_of_a_shipped_trace_keep_the_same(number: int) -> None:
    stored, lab = Stored(number), Lab()
    for text in TRACED:
        scorer = lab.open(text)
        (given,) = TorchScorer(scorer).columns(stored.to(lambda x: x))
        check_same(scorer.keep(stored.native(), REMOVED), scorer.keep(given, REMOVED), text)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_types_are_read_as_they_are(dtype: torch.dtype) -> None:
    stored, lab = Stored(14), Lab()
    narrow = stored.to(lambda x: x.to(dtype) if x.ndim == 3 else x)
    for part in "qkv":
        setattr(stored, part, getattr(stored, part).to(dtype).float())
    for text in TRACED:
        scorer = lab.open(text)
        narrow.known = {"rope": narrow.known["rope"]}
        (given,) = TorchScorer(scorer).columns(narrow)
        check_same(scorer.keep(stored.native(), REMOVED), scorer.keep(given, REMOVED), text)


def test_a_formula_never_leaves_the_device_and_columns_leave_it_last() -> None:
    stored, lab = Stored(14), Lab()
    formula = (
        "if(position < 4, keep, expected_attn*rank:value_norm + replayed_attn:64:rms + window_std:64 + attn_entropy)"
    )
    by_torch = TorchScorer(lab.open(f"={formula}"))
    assert by_torch.on_device
    right = by_torch.scores(stored.to(lambda x: x))
    with PretendedDevice():
        there = stored.to(lambda x: put(x.clone()))
        scores = by_torch.scores(there)
        assert scores.device.type == "cuda"
        torch.testing.assert_close(scores.cpu(), right, rtol=1e-5, atol=1e-9)
        for text in TRACED:
            there.known = {"rope": there.known["rope"]}
            TorchScorer(lab.open(text)).columns(there)
    with FakeTensorMode():  # "cuda" cannot even be indexed where PyTorch was built without
        scores = by_torch.scores(stored.to(lambda x: torch.empty(x.shape, device="meta")))
        assert scores.device.type == "meta"
        assert scores.shape == (1, len(stored.k), stored.prompt)


def test_what_has_no_form_runs_natively_or_is_refused_by_name() -> None:
    lab, auto = Lab(), Scoring("auto", True)
    assert auto.of(lab.open("keydiff@paper")) is None
    assert auto.of(lab.open("keydiff@kvpress")) is not None
    with pytest.raises(UsageError, match=r"keydiff@paper.*takes queries, keys and values.*--scoring native"):
        TORCH.of(lab.open("keydiff@paper"))
    with pytest.raises(UsageError, match=r"token_type.*--scoring native"):
        TORCH.of(lab.open("=rank:token_type"))
    assert scoring_on("auto", DeviceConfig()).said == {}
    assert scoring_on("torch", DeviceConfig()).said == {"scoring": "torch"}
    assert scoring_on("auto", DeviceConfig("cuda:1")).torch
    with pytest.raises(UsageError, match="double precision"):
        scoring_on("torch", DeviceConfig("mps"))


def test_a_verdict_by_torch_says_so_and_one_by_libevictlab_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_module, "open_model", lambda *_: make_source("llama"))
    (tmp_path / "text").write_text("a press in a press, and then another one; " * 4, encoding="utf-8")
    results = []
    for scoring in ("auto", "torch"):
        output = tmp_path / f"{scoring}.json"
        command([
            "model", str(tmp_path / "text"), "--prompt", "100", "--continuation", "20", "--retentions", "0.5",
            "--scorers", "snapkv@kvpress,adakv@kvpress(knorm@kvpress)", "--scoring", scoring, "--output", str(output),
        ])  # fmt: skip
        results.append(json.loads(output.read_text(encoding="utf-8")))
    native, by_torch = results
    assert "scoring" not in native
    assert by_torch["scoring"] == "torch"
    for ours, theirs in zip(native["rows"], by_torch["rows"], strict=True):
        assert ours["scorer"] == theirs["scorer"]
        np.testing.assert_allclose(ours["kl"], theirs["kl"], rtol=1e-3)
    journal = (tmp_path / "torch.json.journal").read_text(encoding="utf-8").splitlines()[0]
    assert '"scoring"' in journal


def test_presses_by_torch_keep_what_presses_by_libevictlab_keep() -> None:
    pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")
    from test_press import kept, run_full  # noqa: PLC0415 - needs kvpress

    from evictlab_tools.press import EvictlabPress  # noqa: PLC0415

    model, ids = make_model("llama_yarn", "sdpa"), torch.randperm(300)[:150].tolist()
    full = run_full(model, ids)
    for text in ("knorm@kvpress", "evolved@real", "snapkv@kvpress", "adakv@kvpress(h2o@paper)", "=window_attn:16"):
        ours, _ = kept(model, full, EvictlabPress(0.7, text, scoring="native"))
        theirs, _ = kept(model, full, EvictlabPress(0.7, text, scoring="torch"))
        differing = sum(len(a ^ b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))
        assert differing <= 2, text
    with pytest.raises(UsageError, match="keydiff@paper"):
        EvictlabPress(0.5, "keydiff@paper", scoring="torch")
    with pytest.raises(UsageError, match="one of auto, native, torch"):
        EvictlabPress(0.5, scoring="cuda")
