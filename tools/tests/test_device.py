"""Devices and precisions: the same bits wherever tensors lie, other types close to single precision, or refused."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_model, make_source
from pretend_device import CUDA, PretendedDevice, SerialPool, put_model
from test_models import TEXT, save_model
from torch import Tensor
from verdict_harness import PROMPT, document

from evictlab_tools import capture as capture_tool
from evictlab_tools.attention import FLASH
from evictlab_tools.device import USUAL_DEVICE, DeviceConfig, device_from
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.generation import answer
from evictlab_tools.library import Lab
from evictlab_tools.masked import ATTENTION
from evictlab_tools.models import ModelSource, open_model
from evictlab_tools.reading import read
from evictlab_tools.sensitivity import sensitivities
from evictlab_tools.shapes import Budgets
from evictlab_tools.tuning.through_model import ATTENTION as TUNING
from evictlab_tools.tuning.through_model import _Multiplication
from evictlab_tools.verdict import options as verdict_options
from evictlab_tools.verdict.bounds import BOUNDS
from evictlab_tools.verdict.command import command as verdict
from evictlab_tools.verdict.decode import Decoding
from evictlab_tools.verdict.judge import Judge
from evictlab_tools.verdict.schedule import parse_schedule

# Of keys alone, windows of queries, all queries, W_o, heads' and layers' budgets, and the second pass with gradients.
SCORERS = (
    "knorm@kvpress",
    "snapkv@kvpress",
    "=cumulative_attn",
    "=wov_norm",
    "adakv@kvpress(snapkv@kvpress)",
    "kvgrad@kvpress",
)


def judge_on(model: str, device: DeviceConfig, dtype: torch.dtype = torch.float32, attention: str = "") -> Judge:
    """A judge whose model is where the test puts it."""
    pretended = device.kind == "cuda"

    def load(name: str) -> Any:
        made = make_model(model, attention or name).to(dtype)
        return put_model(made) if pretended else made

    return judge_of(make_source(model), device, load)


def judge_of(source: ModelSource, device: DeviceConfig, load: Callable[[str], Any]) -> Judge:
    judge = Judge(replace(source, load=load, device=device), threads=1)
    judge.pool = SerialPool()  # type: ignore[assignment]
    return judge


def figures_of(judge: Judge) -> dict[str, Any]:
    """What all that a verdict does says of a document."""
    lab, run = Lab(), judge.read(document())
    found: dict[str, Any] = {"nll": run.uncompressed.nll}
    for text in SCORERS:
        kept = run.keep(lab.open(text), [0.75, 0.5])
        found[text] = [(one.kl, one.delta_nll, one.kept) for one in run.measure(kept)]
    decoding = Decoding(parse_schedule("every:4"), Budgets((0.5,)))
    for decider in (lab.open("knorm@kvpress"), None):
        found[f"decode, {decider is None}"] = [(one.kl, one.kept) for one in decoding.figures(run, decider)]
    for bound in BOUNDS:
        found[bound] = [one.kl for one in run.measure(run.keep_oracle(bound, [0.5]))]
    kept_tensors = [[torch.from_numpy(mask) for mask in masks] for masks in kept]
    layers, ids = run.prompt_layers, run.document.ids
    told = answer(run.model, ids, PROMPT, PROMPT + 3, layers, kept_tensors, 3, lambda _: False)
    found["told"] = [one.tokens for one in told]
    return found


@pytest.mark.parametrize("chunk", [None, 29])
@pytest.mark.parametrize("model", ["llama", "gemma3", "llama_yarn"])
def test_a_verdict_on_a_device_mixes_no_devices_and_says_the_same_to_the_bit(model: str, chunk: int | None) -> None:
    here = figures_of(judge_on(model, DeviceConfig(chunk=chunk)))
    judge = judge_on(model, DeviceConfig("cuda", chunk=chunk))
    with PretendedDevice():
        there = figures_of(judge)
        assert judge.read(document()).layers[0].k.device == CUDA
    assert there == here


def test_sensitivities_on_a_device_are_those_of_the_cpu() -> None:
    ids = list(document().ids[:40])
    model = make_model("llama", ATTENTION)
    here = sensitivities(model, ids, 30, read(model, ids, None).layers, 2)
    model = put_model(make_model("llama", ATTENTION))
    with PretendedDevice():
        there = sensitivities(model, ids, 30, read(model, ids, None).layers, 2)
    assert all(np.array_equal(here[number], there[number]) for number in here)


def test_gradients_of_tuning_mix_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    from pretend_device import put  # noqa: PLC0415

    from evictlab_tools.tuning.directions import Directions  # noqa: PLC0415
    from evictlab_tools.tuning.pull import pull_of  # noqa: PLC0415

    def slopes(judge: Judge) -> Any:
        directions = Directions(Lab(), "0.5*key_norm + window_attn:16", ("value_norm",))
        run = judge.read(document()).trimmed()
        run.model.requires_grad_(False)
        return pull_of(run, directions.at(directions.origin), (0.5,), (1, 1, 0)).slopes

    here = slopes(judge_on("llama", USUAL_DEVICE, attention=TUNING))
    judge = judge_on("llama", DeviceConfig("cuda"), attention=TUNING)
    apply = _Multiplication.apply
    monkeypatch.setattr(_Multiplication, "apply", lambda *given: put(apply(*given)))  # type: ignore[no-untyped-call]
    with PretendedDevice():
        assert np.array_equal(slopes(judge), here)


def test_the_pretended_device_refuses_what_a_real_one_does() -> None:
    with PretendedDevice():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there.device, here.device.type, (2 * there)[1:].device) == (CUDA, "cpu", CUDA)
        for mixed in (lambda: there + here, lambda: torch.cat((there, here)), lambda: here.gather(0, there.long())):
            with pytest.raises(RuntimeError, match="same device"):
                mixed()  # type: ignore[no-untyped-call]
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert np.array_equal((there.cpu() + here).numpy(), [2, 2, 2])
        assert (there.to("cpu", torch.float64) + here.double()).device.type == "cpu"


@dataclass(frozen=True)
class Bound:
    nll: float  # nats a token
    kl: float  # of the divergence
    shared: float  # of the kept tokens


BOUNDS_OF_TYPES = {torch.bfloat16: Bound(0.05, 0.03, 0.95), torch.float16: Bound(0.02, 0.01, 0.98)}


@pytest.mark.parametrize("chunk", [None, 29])
@pytest.mark.parametrize("model", ["llama", "gemma3", "qwen3"])
def test_figures_in_half_precision_are_close_to_those_in_single(model: str, chunk: int | None) -> None:
    lab = Lab()
    right = judge_on(model, USUAL_DEVICE).read(document())
    for dtype, bound in BOUNDS_OF_TYPES.items():
        run = judge_on(model, DeviceConfig(chunk=chunk), dtype).read(document())
        assert run.predictions.logits.dtype == dtype
        assert run.uncompressed.nll == pytest.approx(right.uncompressed.nll, abs=bound.nll)
        for text in ("=value_norm", "snapkv@kvpress"):
            kept, same = (each.keep(lab.open(text), [0.5])[0] for each in (run, right))
            shared = [(a & b).sum() / a.sum() for a, b in zip(kept, same, strict=True)]
            assert np.mean(shared) > bound.shared
            (found,), (expected,) = run.measure([same]), right.measure([same])
            assert found.kl == pytest.approx(expected.kl, rel=bound.kl, abs=2e-3)


def test_a_verdict_names_its_device_and_goes_on_in_no_other_ones_journal(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    (tmp_path / "cats.txt").write_text(TEXT)
    out = tmp_path / "verdict.json"
    asked = [str(tmp_path / "model"), str(tmp_path / "cats.txt"), "--prompt", "20", "--continuation", "5", "--scorers",
             "knorm@kvpress", "-o", str(out), "--no-cost"]  # fmt: skip
    verdict(asked)
    usual = json.loads(out.read_text())
    assert "execution" not in usual
    with pytest.raises(ToolError, match="another model, version or options"):
        verdict([*asked, "--dtype", "bfloat16"])
    (tmp_path / "verdict.json.journal").unlink()
    verdict([*asked, "--dtype", "bfloat16", "--chunk", "8", "--device", "auto"])
    named = json.loads(out.read_text())
    kind = DeviceConfig("auto").resolved().kind
    assert named["execution"] == {"device": kind, "dtype": "bfloat16", "chunk": 8}
    assert named["rows"][0]["kl"] != usual["rows"][0]["kl"]


def test_a_suite_names_the_device_that_it_was_captured_on(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    (tmp_path / "cats.txt").write_text(TEXT)
    out = tmp_path / "suite"
    asked = [str(tmp_path / "model"), str(tmp_path / "cats.txt"), "--out", str(out), "--prompt", "20", "--continuation",
             "5"]  # fmt: skip
    capture_tool.command([*asked, "--model-dtype", "float16"])
    assert json.loads((out / "suite.json").read_text())["execution"] == {"device": "cpu", "dtype": "float16"}
    assert Lab().library.suite_hash(str(out)).startswith("sha256:")
    before = (out / "cats.safetensors").read_bytes()
    capture_tool.command(asked)
    assert "execution" not in json.loads((out / "suite.json").read_text())
    assert (out / "cats.safetensors").read_bytes() != before


def test_auto_takes_the_type_of_the_stored_weights(tmp_path: Path) -> None:
    save_model(tmp_path)
    make_model("llama", "eager").to(torch.bfloat16).save_pretrained(tmp_path)
    source = open_model(str(tmp_path), None, DeviceConfig(dtype="auto"))
    assert source.device == DeviceConfig(dtype="bfloat16")
    assert source.load("eager").dtype == torch.bfloat16
    assert open_model(str(tmp_path)).load("eager").dtype == torch.float32


def test_a_model_may_be_spread_over_what_there_is(tmp_path: Path) -> None:
    save_model(tmp_path)
    source = open_model(str(tmp_path), None, DeviceConfig("auto", device_map="auto").resolved())
    ids = source.tokenizer.encode(TEXT)[:40]
    spread, alone = (
        read(model, ids, None, 5) for model in (source.load(ATTENTION), open_model(str(tmp_path)).load(ATTENTION))
    )
    assert torch.allclose(spread.logits.cpu(), alone.logits, atol=1e-3)
    assert source.device.to_json()["device_map"] == "auto"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "gpu"], "not auto, cpu, cuda, cuda:N or mps"),
        (["--device", "cuda:99"], "CUDA device"),
        (["--device", "cpu", "--device-map", "auto"], "not both"),
        (["--chunk", "-1"], "--chunk"),
    ],
)
def test_devices_that_are_not_there_are_refused_by_name(options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        device_from(verdict_options.parser().parse_args(["model", "text", *options]))


def test_flash_attention_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    save_model(tmp_path)
    for config in (
        DeviceConfig(attention="flash_attention_2"),
        DeviceConfig("cpu", "bfloat16", None, "flash_attention_2"),
    ):
        with pytest.raises(UsageError, match="flash_attention_2 works on CUDA devices, in float16 or bfloat16"):
            open_model(str(tmp_path), None, config)
    with pytest.raises(UsageError, match="flash-attn"):
        DeviceConfig("cuda", "bfloat16", None, "flash_attention_2").check_attention()


def _flash_attn(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    """What the package's function gives, as its page says: heads behind tokens, the last query sees the last key."""
    group = q.shape[2] // k.shape[2]
    keys, values = (x.repeat_interleave(group, 2).transpose(1, 2) for x in (k, v))
    age = torch.arange(k.shape[1] - q.shape[1], k.shape[1])[:, None] - torch.arange(k.shape[1])
    seen = (age >= 0) & ((age <= options["window_size"][0]) | (options["window_size"][0] < 0))
    logits = options["softmax_scale"] * q.transpose(1, 2) @ keys.transpose(2, 3)
    out: Tensor = (logits.masked_fill(~seen, float("-inf")).softmax(-1) @ values).transpose(1, 2)
    return out


@pytest.mark.parametrize("step", [None, 29])
@pytest.mark.parametrize("name", ["llama", "gemma3", "mistral"])
def test_flash_attention_is_called_as_its_package_wants_it(
    name: str, step: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "flash_attn", SimpleNamespace(flash_attn_func=_flash_attn))
    ids = list(document().ids)
    by_flash, by_sdpa = (read(make_model(name, ATTENTION + kind), ids, None, 9, step) for kind in (FLASH, ""))
    assert torch.allclose(by_flash.logits, by_sdpa.logits, atol=1e-3)
    assert {n: layer.window for n, layer in by_flash.layers.items()} == {n: x.window for n, x in by_sdpa.layers.items()}
