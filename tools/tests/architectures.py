"""Tiny random models of many families, made in memory: what captures, verdicts and presses are held to.

A model is `make(NAME, attention, dtype)`; its own eager attention (`eager_attention`) is what is right.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import Tensor

VOCABULARY = 300
WINDOW = 20
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.3,  # wide, so that attention is far from uniform
    "pad_token_id": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
SLIDING_FIRST = ["sliding_attention", "full_attention"]
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 64}
PLAIN = {"rope_theta": 10000.0}
LLAMA3 = {
    **PLAIN,
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LONG: dict[str, Any] = {
    "max_position_embeddings": 400,
    "original_max_position_embeddings": 100,
    "rope_parameters": {
        **PLAIN,
        "rope_type": "longrope",
        "long_factor": [2.0, 3.0, 4.0, 5.0],
        "short_factor": [1.0, 1.0, 1.1, 1.2],
    },
}


@dataclass(frozen=True)
class Architecture:
    """A family: `KINDForCausalLM` of transformers, and what its configuration says beyond SIZES."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    config: str = ""  # where it is not KINDConfig
    sizes: dict[str, Any] = field(default_factory=lambda: SIZES)

    def settings(self, **options: Any) -> Any:
        kind = getattr(transformers, self.config or f"{self.kind}Config")
        return kind(**{**self.sizes, **self.options, **options})

    def model_class(self) -> Any:
        return getattr(transformers, "GPT2LMHeadModel" if self.kind == "GPT2" else f"{self.kind}ForCausalLM")


def _sliding(**options: Any) -> dict[str, Any]:
    return {"sliding_window": WINDOW, "layer_types": SLIDING_FIRST, **options}


ARCHITECTURES: dict[str, Architecture] = {
    "apertus": Architecture("Apertus"),
    "arcee": Architecture("Arcee"),
    "bitnet": Architecture("BitNet"),
    "cohere": Architecture("Cohere", {"use_qk_norm": False}),
    "cohere_norm": Architecture("Cohere", {"use_qk_norm": True}),
    "cohere2": Architecture("Cohere2", _sliding()),
    "deepseek3": Architecture(
        "DeepseekV3",
        {
            "num_key_value_heads": 6,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 8,
            "v_head_dim": 8,
            "first_k_dense_replace": 2,
        },
    ),
    "ernie4_5": Architecture("Ernie4_5"),
    "exaone4": Architecture("Exaone4", _sliding(sliding_window_pattern=2)),
    "doge": Architecture("Doge", {"keep_window_size": 16}),
    "diffllama": Architecture("DiffLlama"),
    "dots1": Architecture(
        "Dots1", {**EXPERTS, "n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1}
    ),
    "ernie4_5_moe": Architecture("Ernie4_5_Moe", {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 16}),
    "falcon": Architecture("Falcon", sizes={key: SIZES[key] for key in SIZES if key != "head_dim"}),
    "flex_olmo": Architecture("FlexOlmo", {"num_experts": 4, "num_experts_per_tok": 2}),
    "gemma": Architecture("Gemma"),
    "gemma2": Architecture("Gemma2", _sliding(attn_logit_softcapping=5.0)),
    "gemma3": Architecture("Gemma3", _sliding(query_pre_attn_scalar=25), config="Gemma3TextConfig"),
    "glm": Architecture("Glm"),
    "glm4": Architecture("Glm4"),
    "glm4_moe": Architecture("Glm4Moe", {**EXPERTS, "n_routed_experts": 4, "first_k_dense_replace": 1}),
    "gpt2": Architecture("GPT2", sizes={"vocab_size": VOCABULARY, "n_embd": 48, "n_layer": 2, "n_head": 6}),
    "gpt_neox": Architecture("GPTNeoX"),
    "gpt_oss": Architecture("GptOss", _sliding(num_local_experts=4, num_experts_per_tok=2)),
    "granite": Architecture("Granite", {"attention_multiplier": 0.3, "residual_multiplier": 0.5}),
    "granite_moe": Architecture("GraniteMoe", {"num_local_experts": 2, "attention_multiplier": 0.3}),
    "helium": Architecture("Helium"),
    "hunyuan": Architecture("HunYuanDenseV1"),
    "hunyuan_moe": Architecture("HunYuanMoEV1", {"num_experts": 2, "moe_topk": [1, 1]}),
    "jais2": Architecture("Jais2"),
    "llama": Architecture("Llama"),
    "llama_yarn": Architecture("Llama", {"max_position_embeddings": 256, "rope_parameters": YARN}),
    "llama_llama3": Architecture("Llama", {"max_position_embeddings": 512, "rope_parameters": LLAMA3}),
    "llama_linear": Architecture("Llama", {"rope_parameters": {**PLAIN, "rope_type": "linear", "factor": 4.0}}),
    "llama_bias": Architecture("Llama", {"attention_bias": True, "head_dim": 16}),
    "llama4": Architecture(
        "Llama4",
        {"num_local_experts": 2, "intermediate_size_mlp": 64, "attention_chunk_size": 64},
        config="Llama4TextConfig",
    ),
    "llama4_short": Architecture(
        "Llama4", {"num_local_experts": 2, "intermediate_size_mlp": 64}, config="Llama4TextConfig"
    ),
    "lfm2": Architecture("Lfm2", {"layer_types": ["full_attention", "conv"]}),
    "minimax_m2": Architecture("MiniMaxM2", {"num_local_experts": 2, "num_experts_per_tok": 1}),
    "ministral": Architecture("Ministral", _sliding()),
    "ministral3": Architecture(
        "Ministral3",
        {
            "rope_parameters": {**YARN, "llama_4_scaling_beta": 0.5},
            "max_position_embeddings": 256,
        },
    ),
    "mistral": Architecture("Mistral", {"sliding_window": WINDOW}),
    "mistral_full": Architecture("Mistral", {"sliding_window": None}),
    "mixtral": Architecture("Mixtral", {"sliding_window": WINDOW, "num_local_experts": 2}),
    "nanochat": Architecture("NanoChat"),
    "nemotron": Architecture("Nemotron"),
    "olmo": Architecture("Olmo", {"clip_qkv": 0.5}),
    "olmo2": Architecture("Olmo2"),
    "olmo3": Architecture("Olmo3", _sliding()),
    "olmoe": Architecture("Olmoe", {"num_experts": 4, "num_experts_per_tok": 2, "clip_qkv": 0.5}),
    "opt": Architecture("OPT", {"ffn_dim": 64, "word_embed_proj_dim": 48}),
    "persimmon": Architecture("Persimmon"),
    "phi": Architecture("Phi", {"partial_rotary_factor": 0.5}),
    "phimoe": Architecture("Phimoe", {"sliding_window": WINDOW, "num_local_experts": 2}),
    "phi3": Architecture("Phi3", {"sliding_window": WINDOW}),
    "phi3_partial": Architecture("Phi3", {"partial_rotary_factor": 0.5}),
    "phi3_longrope": Architecture("Phi3", LONG),
    "qwen2": Architecture("Qwen2"),
    "qwen2_moe": Architecture("Qwen2Moe", {**EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 16}),
    "qwen2_sliding": Architecture("Qwen2", _sliding(use_sliding_window=True, max_window_layers=1)),
    "qwen3": Architecture("Qwen3"),
    "qwen3_next": Architecture(
        "Qwen3Next", {**EXPERTS, "num_experts": 4, "layer_types": ["full_attention", "linear_attention"]}
    ),
    "qwen3_moe": Architecture("Qwen3Moe", {**EXPERTS, "num_experts": 4}),
    "seed_oss": Architecture("SeedOss"),
    "smollm3": Architecture("SmolLM3", {"no_rope_layers": [1, 0]}),
    "stablelm": Architecture("StableLm", {"qk_layernorm": True}),
    "vaultgemma": Architecture("VaultGemma", _sliding()),
    "starcoder2": Architecture("Starcoder2", {"sliding_window": WINDOW}),
}


def make(name: str, attention: str = "eager", dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """`options` are of the configuration, beyond the architecture's."""
    architecture = ARCHITECTURES[name]
    config = architecture.settings(**options)
    config._attn_implementation = attention
    torch.manual_seed(17)
    model = architecture.model_class()(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # norms, whose weights are all one or zero
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape))
    return model.to(dtype)


def tokens(count: int = 150, seed: int = 3) -> Tensor:
    """[1][count], none of them twice."""
    return torch.randperm(VOCABULARY, generator=torch.Generator().manual_seed(seed))[None, :count]


@torch.no_grad()
def eager_attention(model: Any, ids: Tensor) -> list[Tensor]:
    """[layer] of the model's own weights [B][H_q][n][n], in double precision."""
    weights = model(input_ids=ids, output_attentions=True, use_cache=False).attentions
    return [layer.double() for layer in weights]
