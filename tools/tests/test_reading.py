"""Readings of many architectures: each is right against the model's own eager attention, or refused by name."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from conftest import SIZES, TOKENIZER, WINDOW
from test_attention import weights_of_trace

from evictlab_tools.attention import queries_of, recompute_weights
from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.documents import Document
from evictlab_tools.errors import ToolError
from evictlab_tools.library import Lab, LayerInput
from evictlab_tools.masked import ATTENTION
from evictlab_tools.models import ModelSource
from evictlab_tools.reading import read
from evictlab_tools.trace_file import TraceFile
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import Judge

PROMPT, CONTINUATION = 70, 20
TOKENS = PROMPT + CONTINUATION
Made = Callable[[], tuple[Any, Any]]
BASE: dict[str, Any] = {**SIZES, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


def _llama(rope: dict[str, Any], positions: int = 64) -> Made:
    given = {"rope_theta": 10000.0, **rope}
    return lambda: (
        tf.LlamaForCausalLM,
        tf.LlamaConfig(**BASE, max_position_embeddings=positions, rope_parameters=dict(given)),
    )


def _longrope(positions: int) -> Made:
    """Phi-3, whose RoPE changes its frequencies for texts of more than `positions` tokens."""
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "long_factor": [float(i) for i in range(2, 10)],
            "short_factor": [1.0 + i / 10 for i in range(8)]}  # fmt: skip
    return lambda: (
        tf.Phi3ForCausalLM,
        tf.Phi3Config(
            **{**BASE, "hidden_size": 96},  # 6 heads of 16, as the configuration's checks take them to be
            max_position_embeddings=4 * positions,
            original_max_position_embeddings=positions,
            rope_parameters={**rope, "original_max_position_embeddings": positions},
        ),
    )


def _gemma3_scaled() -> tuple[Any, Any]:
    kinds = ["sliding_attention", "full_attention"] * 2
    rope = {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}}  # fmt: skip
    return tf.Gemma3ForCausalLM, tf.Gemma3TextConfig(
        **BASE, sliding_window=WINDOW, layer_types=kinds, rope_parameters=rope
    )


def _of(kind: str, config: str, **more: Any) -> Made:
    return lambda: (getattr(tf, kind), getattr(tf, config)(**{**BASE, **more}))


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}  # fmt: skip
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0}
TAKEN: dict[str, Made] = {
    "dynamic RoPE, short": _llama(DYNAMIC, 128),
    "dynamic RoPE, long": _llama(DYNAMIC, 64),
    "longrope, short": _longrope(128),
    "longrope, long": _longrope(64),
    "linear RoPE": _llama({"rope_type": "linear", "factor": 4.0}),
    "llama3 RoPE": _llama(LLAMA3),
    "a RoPE for each kind of layer": _gemma3_scaled,
    "layers without RoPE": _of("SmolLM3ForCausalLM", "SmolLM3Config", no_rope_layers=[1, 0, 1, 0]),
    "norms over all heads": _of("Olmo2ForCausalLM", "Olmo2Config"),
    "a softmax scale of its own": _of("GraniteForCausalLM", "GraniteConfig", attention_multiplier=0.1),
    "experts": _of("Qwen3MoeForCausalLM", "Qwen3MoeConfig", num_experts=4, num_experts_per_tok=2),
    "a window in the configuration": _of("Starcoder2ForCausalLM", "Starcoder2Config", sliding_window=WINDOW),
    "interleaved RoPE": _of("CohereForCausalLM", "CohereConfig"),
    "partial and interleaved RoPE": _of("GlmForCausalLM", "GlmConfig"),
    "partial RoPE": _of("StableLmForCausalLM", "StableLmConfig", head_dim=8, num_attention_heads=6),
    "full and windowed layers": _of("Olmo3ForCausalLM", "Olmo3Config", sliding_window=WINDOW),
}
REORDERED = ["interleaved RoPE", "partial and interleaved RoPE", "partial RoPE"]
REFUSED: dict[str, tuple[Made, str]] = {
    "complex RoPE": (
        _of("Llama4ForCausalLM", "Llama4TextConfig", num_local_experts=2, intermediate_size_mlp=64),
        r"layer 0 \(Llama4TextAttention\): its rotary position embeddings are not cosines and sines",
    ),
    "sinks": (
        _of("GptOssForCausalLM", "GptOssConfig", num_local_experts=2, num_experts_per_tok=1),
        r"layer 0 \(GptOssAttention\): it uses attention sinks",
    ),
    "soft capping": (_of("Gemma2ForCausalLM", "Gemma2Config"), r"layer 0 \(Gemma2Attention\): it uses soft capping"),
    "norms after RoPE": (
        _of("NanoChatForCausalLM", "NanoChatConfig"),
        r"layer 0 \(NanoChatAttention\): its queries are not what they were before RoPE",
    ),
    "a temperature by position": (
        _of("Ministral3ForCausalLM", "Ministral3Config"),
        r"layer 0 \(Ministral3Attention\): its queries depend on their positions by more than RoPE",
    ),
    "latent attention": (
        _of("DeepseekV3ForCausalLM", "DeepseekV3Config", head_dim=8, num_key_value_heads=6, q_lora_rank=16,
            kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=16, n_routed_experts=4, n_group=1,
            topk_group=1, num_experts_per_tok=2, moe_intermediate_size=32, first_k_dense_replace=4),
        r"layer 0 \(DeepseekV3Attention\)",
    ),
    "a mask that depends on the text": (_of("DogeForCausalLM", "DogeConfig"), r"layer 0 \(DogeAttention\): softmax"),
    "layers without attention": (
        _of("Lfm2ForCausalLM", "Lfm2Config", layer_types=["conv", "full_attention"] * 2),
        "layer 0: was not seen: it has no attention",
    ),
    "learned positions": (
        lambda: (tf.GPT2LMHeadModel, tf.GPT2Config(vocab_size=300, n_embd=48, n_layer=4, n_head=3)),
        r"layer 0 \(GPT2Attention\): it is given no rotary position embeddings",
    ),
    "no decoder": (_of("BertLMHeadModel", "BertConfig"), r"layer 0 \(BertSelfAttention\)"),
    "caches that layers share": (
        _of("Gemma3nForCausalLM", "Gemma3nTextConfig", intermediate_size=[64] * 4, num_kv_shared_layers=2,
            layer_types=["sliding_attention", "full_attention"] * 2, sliding_window=64, hidden_size_per_layer_input=16,
            vocab_size_per_layer_input=300, laurel_rank=8, altup_num_inputs=2, activation_sparsity_pattern=[0.0] * 4),
        "Gemma3nForCausalLM says something else with a KV cache than without",
    ),
}  # fmt: skip
WORKS = "what works is one softmax over a causal or sliding window"


def made(name: Made, attention: str, dtype: torch.dtype = torch.float32) -> Any:
    kind, config = name()
    torch.manual_seed(17)
    config = copy.deepcopy(config)
    config._attn_implementation = attention
    return kind(config).to(dtype).eval()


def source_of(name: Made, dtype: torch.dtype = torch.float32) -> ModelSource:
    return ModelSource("tiny", "random", 4, TOKENIZER, lambda attention: made(name, attention, dtype))


def text(seed: int = 3, length: int = 2 * TOKENS) -> str:
    return "".join(chr(97 + int(i)) for i in np.random.default_rng(seed).integers(0, 26, length))


def ids(seed: int = 3, length: int = TOKENS) -> list[int]:
    return TOKENIZER.encode(text(seed))[:length]


def captured(name: Made, folder: Path, dtype: torch.dtype = torch.float32) -> TraceFile:
    document = Document("truth", "prose", "test", text(), "random letters", "MIT")
    settings = Settings(PROMPT, CONTINUATION, dtype="f32", output_projection=False)
    capture_suite(source_of(name, dtype), [document], settings, folder, name="tiny", licence="MIT")
    return TraceFile(folder / document.file_name)


def rotation(model: Any, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The cosines and sines [N][d] that the model's own embedding gives for this run."""
    rotary, places = model.model.rotary_emb, torch.arange(TOKENS)[None]
    kinds = getattr(model.config, "layer_types", None)
    by_kind = isinstance(getattr(rotary, "rope_type", None), dict)
    with torch.no_grad():
        given = rotary(torch.zeros(1, TOKENS, 48), places, *([kinds[layer]] if by_kind and kinds else []))
    return given[0][0], given[1][0]


@pytest.mark.parametrize("name", TAKEN)
def test_trace_is_the_models_own_eager_attention(name: str, tmp_path: Path) -> None:
    trace = captured(TAKEN[name], tmp_path)
    model = made(TAKEN[name], "eager")
    with torch.no_grad():
        expected = model(torch.tensor([ids()]), output_attentions=True).attentions
    for layer in range(4):
        np.testing.assert_allclose(weights_of_trace(trace, layer), expected[layer][0].numpy(), atol=1e-4, rtol=0)
        frequencies = trace.floats(f"layers.{layer}.rope_inv_freq")
        if not frequencies.any():
            assert name == "layers without RoPE" and layer in (1, 3)
            continue
        if name in REORDERED:
            own = model.model.rotary_emb.inv_freq.numpy()
            np.testing.assert_array_equal(frequencies, np.pad(own, (0, len(frequencies) - len(own))))
            continue
        scale = trace.floats(f"layers.{layer}.rope_scale")[0] if f"layers.{layer}.rope_scale" in trace.names else 1.0
        angles = np.arange(TOKENS)[:, None] * np.tile(frequencies, 2)[None].astype(np.float64)
        cos, sin = rotation(model, layer)
        np.testing.assert_allclose(np.cos(angles) * scale, cos.numpy(), atol=1e-4)
        np.testing.assert_allclose(np.sin(angles) * scale, sin.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["dynamic RoPE, long", "longrope, long"])
def test_replayed_attention_turns_by_the_frequencies_of_the_run(name: str, tmp_path: Path) -> None:
    trace = captured(TAKEN[name], tmp_path)
    cos, sin = (x.double().numpy() for x in rotation(made(TAKEN[name], "eager"), 0))
    q, k, v = (trace.floats(f"layers.0.{x}")[:, :PROMPT] for x in "qkv")
    scale = trace.floats("layers.0.rope_scale")[0] if "layers.0.rope_scale" in trace.names else 1.0
    found = Lab().open("=replayed_attn:8").score(
        LayerInput(layer=0, num_layers=4, query_heads=6, q=q, k=k, v=v, softmax_scale=16**-0.5,
                   rope_inv_freq=trace.floats("layers.0.rope_inv_freq"), rope_scale=scale))  # fmt: skip
    asked = q[:, -8:].astype(np.float64)
    halves = np.concatenate((-asked[..., 8:], asked[..., :8]), -1)
    logits = (asked * cos[8] + halves * sin[8]) / scale @ np.repeat(k, 3, 0).astype(np.float64).transpose(0, 2, 1) / 4
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(found, weights.reshape(2, 24, PROMPT).mean(1), atol=1e-4 * weights.mean())


@pytest.mark.parametrize("name", REORDERED)
def test_queries_turn_on_as_the_module_turns_them(name: str, tmp_path: Path) -> None:
    """In another order of the dimensions, too: replayed_attn by queries that the module itself has at other places."""
    trace = captured(TAKEN[name], tmp_path)
    model = made(TAKEN[name], ATTENTION)
    module, given = model.model.layers[1].self_attn, {}
    hook = module.register_forward_pre_hook(lambda _, args, kwargs: given.update(kwargs), with_kwargs=True)
    layer = read(model, ids(3, PROMPT), None).layers[1]
    hook.remove()
    later = model.model.rotary_emb(torch.zeros(1, PROMPT, 48), torch.arange(PROMPT)[None] + 8)
    asked = queries_of(module, {**given, "position_embeddings": later})[:, -8:].double()
    logits = layer.scale * asked @ layer.k.repeat_interleave(len(asked) // len(layer.k), 0).double().transpose(1, 2)
    expected = logits.softmax(-1).reshape(len(layer.k), -1, PROMPT).mean(1).numpy()
    q, k, v = (trace.floats(f"layers.1.{x}")[:, :PROMPT] for x in "qkv")
    found = Lab().open("=replayed_attn:8").score(
        LayerInput(layer=1, num_layers=4, query_heads=len(q), q=q, k=k, v=v, softmax_scale=layer.scale,
                   rope_inv_freq=trace.floats("layers.1.rope_inv_freq")))  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())
    turned = np.abs(expected - logits.new_tensor(found).numpy()).max()
    plain = layer.scale * layer.q[:, -8:].double() @ layer.k.repeat_interleave(3, 0).double().transpose(1, 2)
    assert np.abs(plain.softmax(-1).reshape(2, -1, PROMPT).mean(1).numpy() - expected).max() > 100 * turned


@pytest.mark.parametrize("name", ["dynamic RoPE, long", "longrope, long"])
def test_a_reading_does_not_depend_on_those_before(name: str) -> None:
    model = made(TAKEN[name], ATTENTION)
    alone = read(made(TAKEN[name], ATTENTION), ids(4, 50), None)
    read(model, ids(3, TOKENS), None)
    after = read(model, ids(4, 50), None)
    for layer in range(4):
        assert torch.equal(alone.layers[layer].q[:, 0:50], after.layers[layer].q[:, 0:50])
        ropes = alone.layers[layer].rope, after.layers[layer].rope
        assert ropes[0] is not None and ropes[1] is not None
        assert torch.equal(ropes[0].frequencies, ropes[1].frequencies)


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_not_proved_is_refused_with_the_modules_name(name: str, tmp_path: Path) -> None:
    maker, message = REFUSED[name]
    with pytest.raises(ToolError, match=message) as capturing:
        captured(maker, tmp_path)
    assert WORKS in str(capturing.value)
    assert not (tmp_path / "suite.json").exists()
    judge = Judge(source_of(maker), threads=1)
    with pytest.raises(ToolError, match=message):
        judge.read(TokenDocument("a", "prose", "test", tuple(ids()), PROMPT))


def test_a_state_beside_the_attention_is_refused_by_the_verdict_alone(tmp_path: Path) -> None:
    maker = _of("FalconH1ForCausalLM", "FalconH1Config", mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16,
                mamba_n_groups=1, mamba_d_state=16, mamba_chunk_size=16)  # fmt: skip
    trace = captured(maker, tmp_path)  # its attention alone is standard
    with torch.no_grad():
        expected = made(maker, "eager")(torch.tensor([ids()]), output_attentions=True).attentions
    np.testing.assert_allclose(weights_of_trace(trace, 3), expected[3][0].numpy(), atol=1e-4)
    with pytest.raises(ToolError, match="FalconH1ForCausalLM goes on from its KV cache alone with other predictions"):
        Judge(source_of(maker), threads=1).read(TokenDocument("a", "prose", "test", tuple(ids()), PROMPT))


@pytest.mark.parametrize("tokens", [40, TOKENS])
def test_chunks_are_refused_where_the_text_reaches_them(tokens: int) -> None:
    """A mask that is causal for a short text and is not for a longer one."""

    class Chunked(tf.LlamaModel):  # type: ignore[misc]
        def forward(self, input_ids: Any = None, **options: Any) -> Any:
            place = torch.arange(input_ids.shape[1])
            seen = (place[:, None] >= place) & (place[:, None] // 64 == place // 64)
            return super().forward(input_ids=input_ids, **{**options, "attention_mask": seen[None, None]})

    model = made(_llama({"rope_type": "default"}), ATTENTION)
    model.model.__class__ = Chunked
    if tokens <= 64:
        assert len(read(model, ids(3, tokens), None).layers) == 4
    else:
        with pytest.raises(ToolError, match=r"layer 0 \(LlamaAttention\): softmax\(scale q k\) v"):
            read(model, ids(3, tokens), None)


def test_an_argument_that_only_the_models_own_attention_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.llama import modeling_llama  # noqa: PLC0415

    eager = modeling_llama.eager_attention_forward

    def tempered(module: Any, q: Any, k: Any, v: Any, mask: Any, scaling: float, **options: Any) -> Any:
        return eager(module, q, k, v, mask, scaling=scaling * 1.1, **options)

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", tempered)
    with pytest.raises(ToolError, match=r"layer 0 \(LlamaAttention\): the model's own eager attention gives something"):
        read(made(_llama({"rope_type": "default"}), ATTENTION), ids(), None)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "f16"])
@pytest.mark.parametrize("name", ["dynamic RoPE, long", "longrope, long", "norms over all heads", "experts",
                                  "a RoPE for each kind of layer", "layers without RoPE"])  # fmt: skip
def test_models_in_half_precision_are_read(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    trace = captured(TAKEN[name], tmp_path, dtype)
    model = made(TAKEN[name], ATTENTION, dtype)
    exact = read(model, ids(), None)
    for layer in range(4):
        weights = torch.stack([recompute_weights(exact.layers[layer], head) for head in range(6)])
        np.testing.assert_allclose(weights_of_trace(trace, layer), weights.numpy(), atol=1e-6)
    judge = Judge(source_of(TAKEN[name], dtype), threads=1)
    run = judge.read(TokenDocument("a", "prose", "test", tuple(ids()), PROMPT))
    everything = [np.ones((2, PROMPT), np.bool_)] * 4
    little = [np.arange(PROMPT)[None].repeat(2, 0) < 4] * 4
    whole, cut = run.measure([everything, little])
    assert whole.kl < 0.05 * cut.kl


def test_a_gate_before_the_output_projection_is_told(tmp_path: Path) -> None:
    maker = _of("AfmoeForCausalLM", "AfmoeConfig", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32)
    document = Document("truth", "prose", "test", text(), "random letters", "MIT")
    with pytest.raises(
        ToolError, match=r"AfmoeAttention\): what enters its output projection .*--no-output-projection"
    ):
        capture_suite(
            source_of(maker), [document], Settings(PROMPT, CONTINUATION), tmp_path, name="tiny", licence="MIT"
        )
    assert captured(maker, tmp_path / "without").layers == [0, 1, 2, 3]
