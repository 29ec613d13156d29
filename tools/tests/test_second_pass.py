"""Scorers that read a second pass: in verdicts, from the model or the suite's files, and as presses like kvpress's."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_model, make_source
from numpy.typing import NDArray
from test_capture import documents, run_capture
from test_reconstruct import ids_of

from evictlab_tools.companions import Companions
from evictlab_tools.errors import ToolError
from evictlab_tools.library import Lab
from evictlab_tools.verdict.documents import read_suite
from evictlab_tools.verdict.judge import Judge

LENGTH = 60


def test_a_verdict_takes_the_second_pass_from_the_suite_or_else_from_the_model(tmp_path: Path) -> None:
    lab = Lab()
    items = [dataclasses.replace(one, layers=None) for one in documents()]
    run_capture(tmp_path, items)
    Companions(make_source("llama"), tmp_path).add()
    source = make_source("llama")
    document = read_suite(tmp_path, source, lab.library).documents[2]
    assert document.second_pass is not None
    judge = Judge(source, threads=1)
    scorers = [lab.open(text) for text in ("=reconstruction_attn", "=reconstruction_attn:grad * key_norm", "=key_norm")]
    kept = []
    for each in (document, dataclasses.replace(document, second_pass=None)):
        for run in (judge.read(each), judge.read(each).trimmed()):
            kept.append([run.keep(scorer, [0.5]) for scorer in scorers])
    for other in kept[1:]:
        for ours, theirs in zip(kept[0], other, strict=True):
            np.testing.assert_array_equal(np.stack(ours[0]), np.stack(theirs[0]))
    assert not np.array_equal(np.stack(kept[0][0][0]), np.stack(kept[0][2][0]))
    path, _ = document.second_pass
    path.write_bytes(b"")
    with pytest.raises(ToolError, match=r"reconstruction\.safetensors: is not as suite\.json lists it"):
        judge.read(document).keep(scorers[0], [0.5])


def test_a_suite_of_some_layers_does_not_serve_a_verdict(tmp_path: Path) -> None:
    run_capture(tmp_path, documents())
    Companions(make_source("llama"), tmp_path).add()
    found = read_suite(tmp_path, make_source("llama"), Lab().library)
    assert all(document.second_pass is None for document in found.documents)


def hidden(model: Any, length: int) -> list[NDArray[np.bool_]]:
    """By layer [H_kv][n]: what presses mask."""
    found = []
    for layer in model.model.layers:
        mask = np.zeros((2, length), np.bool_)
        keys = layer.self_attn.masked_key_indices
        mask[np.asarray(keys[1]), np.asarray(keys[2])] = True
        found.append(mask)
        layer.self_attn.masked_key_indices = None
    return found


def tokenizer() -> Any:
    """As kvpress takes one, of bytes."""

    def ids(text: str, **options: Any) -> Any:
        plain = [1 + byte for byte in text.encode()]
        return torch.tensor([plain]) if options.get("return_tensors") else plain

    def call(text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [0, *ids(text)]}

    class Bytes(SimpleNamespace):
        __call__ = staticmethod(call)

    return Bytes(encode=ids, chat_template=None, all_special_ids=[0], added_tokens_decoder={})


@pytest.mark.parametrize("name", ["llama", "qwen3"])
@pytest.mark.parametrize(
    ("scorer", "press", "options"),
    [
        ("kvzip@kvpress", "KVzipPress", {}),
        ("kvzip@kvpress:layerwise=1", "KVzipPress", {"layerwise": True}),
        ("kvzip_plus@kvpress", "KVzipPress", {"kvzip_plus_normalization": True}),
        ("kvgrad@kvpress", "KVgradPress", {}),
    ],
)
def test_the_press_hides_the_cells_that_kvpresss_own_hides(
    name: str, scorer: str, press: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kvpress = pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")
    from kvpress.presses import kvzip_press  # noqa: PLC0415
    from transformers import DynamicCache  # noqa: PLC0415

    from evictlab_tools.press import EvictlabPress  # noqa: PLC0415

    bytes_only = tokenizer()
    monkeypatch.setattr(kvzip_press, "AutoTokenizer", SimpleNamespace(from_pretrained=lambda _: bytes_only))
    model, ids = make_model(name, "sdpa"), torch.tensor([ids_of(5, LENGTH)])
    for removed in (0.3, 0.7):
        found = []
        for each in (
            EvictlabPress(removed, scorer, tokenizer=bytes_only),
            getattr(kvpress, press)(compression_ratio=removed, **options),
        ):
            cache = DynamicCache()
            with torch.no_grad(), each(model):
                model(input_ids=ids, past_key_values=cache)
            assert [layer.keys.shape[2] for layer in cache.layers] == [LENGTH] * 4
            found.append(hidden(model, LENGTH))
        np.testing.assert_array_equal(np.stack(found[0]), np.stack(found[1]))
        assert sum(mask.sum() for mask in found[0]) == int(4 * 2 * LENGTH * removed)


def test_a_formula_of_the_second_pass_cuts_when_the_context_ends() -> None:
    pytest.importorskip("kvpress", reason="needs evictlab-tools[kvpress]")
    from transformers import DynamicCache  # noqa: PLC0415

    from evictlab_tools.press import EvictlabPress, Refused  # noqa: PLC0415

    model, ids = make_model("llama", "sdpa"), torch.tensor([ids_of(6, LENGTH)] * 2)
    press = EvictlabPress(0.5, "=reconstruction_attn * value_norm", tokenizer=tokenizer())
    for context in (torch.no_grad, torch.inference_mode):
        cache = DynamicCache()
        with context(), press(model):
            model(input_ids=ids, past_key_values=cache)
            assert cache.layers[0].keys.shape[2] == LENGTH
        assert [layer.keys.shape[2] for layer in cache.layers] == [LENGTH // 2] * 4
        assert torch.equal(cache.layers[1].keys[0], cache.layers[1].keys[1])
        with torch.no_grad():
            model(input_ids=ids[:, :1], past_key_values=cache)  # goes on
    assert model.config._attn_implementation == "sdpa"
    cache = DynamicCache()
    with pytest.raises(Refused, match=r"this one has something else"), torch.no_grad(), press(model):
        model(input_ids=ids, past_key_values=cache)
        model(input_ids=ids[:, :1], past_key_values=cache)
    without = EvictlabPress(0.5, "=reconstruction_attn")
    with pytest.raises(Refused, match=r"EvictlabPress\(\.\.\., tokenizer="), torch.no_grad(), without(model):
        model(input_ids=ids, past_key_values=DynamicCache())
