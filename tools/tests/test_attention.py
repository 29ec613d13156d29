"""What is captured is what the model's attention used: judged by the model's own eager attention."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import STANDARD, WINDOW, encode, make_model, make_source
from numpy.typing import NDArray

from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.documents import Document
from evictlab_tools.errors import ToolError
from evictlab_tools.trace_file import TraceFile

TEXT = "It is a truth universally acknowledged, that 1 single man in possession of 20,000 pounds must be in want."
PROMPT, CONTINUATION = 40, 24
TOKENS = PROMPT + CONTINUATION
Floats = NDArray[np.float64]


def capture(name: str, folder: Path, **settings: object) -> TraceFile:
    document = Document("truth", "prose", "test", TEXT, "a novel", "public domain")
    options = {"prompt": PROMPT, "continuation": CONTINUATION, "dtype": "f32", **settings}
    capture_suite(
        make_source(name),
        [document],
        Settings(**options),  # type: ignore[arg-type]
        folder,
        name="tiny",
        licence="MIT",
    )
    return TraceFile(folder / document.file_name)


def weights_of_trace(trace: TraceFile, layer: int) -> Floats:
    """Attention [H_q][N][N], written from docs/traces.md alone."""
    q = trace.floats(f"layers.{layer}.q").astype(np.float64)
    k = trace.floats(f"layers.{layer}.k").astype(np.float64)
    window = int(trace.metadata["sliding_window"].split(",")[trace.layers.index(layer)])
    logits = float(trace.metadata["softmax_scale"]) * np.einsum("hid,hjd->hij", q, np.repeat(k, len(q) // len(k), 0))
    age = np.arange(q.shape[1])[:, None] - np.arange(q.shape[1])[None, :]
    hidden = (age < 0) | ((window > 0) & (age >= window))
    logits[:, hidden] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def eager_weights(name: str) -> list[Floats]:
    with torch.no_grad():
        output = make_model(name, "eager")(torch.tensor([encode(TEXT)[:TOKENS]]), output_attentions=True)
    return [layer[0].double().numpy() for layer in output.attentions]


@pytest.mark.parametrize("name", STANDARD)
def test_trace_gives_the_models_attention(name: str, tmp_path: Path) -> None:
    trace = capture(name, tmp_path)
    expected = eager_weights(name)
    assert trace.layers == [0, 1, 2, 3]
    for layer in trace.layers:
        assert trace.stored(f"layers.{layer}.q").shape == (6, TOKENS, 16)
        assert trace.stored(f"layers.{layer}.k").shape == trace.stored(f"layers.{layer}.v").shape == (2, TOKENS, 16)
        np.testing.assert_allclose(weights_of_trace(trace, layer), expected[layer], atol=1e-5, rtol=0)
        assert expected[layer][:, 20:].max() > 5 / TOKENS  # a uniform model would prove little


@pytest.mark.parametrize("name", STANDARD)
def test_queries_before_rope_are_recovered(name: str, tmp_path: Path) -> None:
    trace = capture(name, tmp_path)
    model = make_model(name, "eager")
    before: dict[int, torch.Tensor] = {}  # [1][N][H_q][d] or [1][H_q][N][d] after a QK-norm, else [1][N][H_q * d]
    for layer, block in enumerate(model.model.layers):
        last = getattr(block.self_attn, "q_norm", block.self_attn.q_proj)
        last.register_forward_hook(lambda module, args, output, layer=layer: before.__setitem__(layer, output.detach()))
    with torch.no_grad():
        model(torch.tensor([encode(TEXT)[:TOKENS]]))
    for layer in trace.layers:
        heads_first = before[layer].shape[1] == 6
        expected = before[layer][0] if heads_first else before[layer].reshape(TOKENS, 6, 16).transpose(0, 1)
        scale = trace.floats(f"layers.{layer}.rope_scale")[0] if f"layers.{layer}.rope_scale" in trace.names else 1.0
        angles = np.arange(TOKENS)[:, None] * trace.floats(f"layers.{layer}.rope_inv_freq").astype(np.float64)
        q = trace.floats(f"layers.{layer}.q").astype(np.float64) / scale
        first, second = q[..., :8], q[..., 8:]
        back = np.concatenate(
            (first * np.cos(angles) + second * np.sin(angles), second * np.cos(angles) - first * np.sin(angles)), -1
        )
        np.testing.assert_allclose(back, expected.numpy(), atol=1e-4 * np.abs(back).max(), rtol=0)


def test_sliding_windows_and_scale_are_recorded(tmp_path: Path) -> None:
    gemma = capture("gemma3", tmp_path / "gemma3")
    assert gemma.metadata["sliding_window"] == f"{WINDOW},0,{WINDOW},0"
    assert float(gemma.metadata["softmax_scale"]) == pytest.approx(1 / 5)
    local, full = (gemma.floats(f"layers.{layer}.rope_inv_freq") for layer in (0, 1))
    assert local[1] != full[1]
    assert capture("mistral", tmp_path / "mistral").metadata["sliding_window"] == ",".join([str(WINDOW)] * 4)
    assert capture("llama", tmp_path / "llama").metadata["sliding_window"] == "0,0,0,0"


def test_scale_of_rope_is_recorded(tmp_path: Path) -> None:
    yarn = capture("llama_yarn", tmp_path / "yarn")
    assert yarn.floats("layers.0.rope_scale")[0] == pytest.approx(1 + 0.1 * np.log(4.0))
    assert "layers.0.rope_scale" not in capture("llama", tmp_path / "llama").names


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_output_projection_and_its_norms(name: str, tmp_path: Path) -> None:
    trace = capture(name, tmp_path, layers=(1, 3), wov_l1=True, dtype="f16")
    model = make_model(name, "eager")
    from safetensors.numpy import load_file  # noqa: PLC0415

    projections = load_file(tmp_path / "model.safetensors")
    assert sorted(projections) == ["layers.1.o_proj", "layers.3.o_proj"]
    for layer in (1, 3):
        expected = model.model.layers[layer].self_attn.o_proj.weight.detach().numpy()
        assert projections[f"layers.{layer}.o_proj"].shape == (48, 96)
        np.testing.assert_allclose(projections[f"layers.{layer}.o_proj"], expected, rtol=1e-3, atol=1e-4)
        v = trace.floats(f"layers.{layer}.v")
        norms = [np.abs(v[head // 3] @ expected[:, head * 16 : (head + 1) * 16].T).sum(-1) for head in range(6)]
        np.testing.assert_allclose(trace.floats(f"layers.{layer}.wov_l1"), np.array(norms), rtol=5e-3)


@pytest.mark.parametrize(("name", "message"), [("gemma2", "soft capping"), ("gpt2", "no rotary")])
def test_attention_that_a_trace_cannot_say_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=message):
        capture(name, tmp_path)
    assert not (tmp_path / "suite.json").exists()
