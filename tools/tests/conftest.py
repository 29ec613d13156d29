"""Tiny random models made in memory: Llama, Qwen3 (QK-norm), Gemma 3 (sliding and full layers, two RoPEs), Mistral."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from evictlab_tools.models import ModelSource
from evictlab_tools.tokens import Tokenizer

VOCABULARY = 300
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.3,  # wide, so that attention is far from uniform
}
WINDOW = 7


def _llama() -> tuple[Any, Any]:
    return LlamaForCausalLM, LlamaConfig(**SIZES)


def _one_layer() -> tuple[Any, Any]:
    """Its queries, keys and values follow from the text alone, whatever is evicted."""
    return LlamaForCausalLM, LlamaConfig(**{**SIZES, "num_hidden_layers": 1})


def _llama_yarn() -> tuple[Any, Any]:
    """RoPE with frequencies of its own and a factor on cosines and sines."""
    rope = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 64}
    return LlamaForCausalLM, LlamaConfig(**SIZES, max_position_embeddings=256, rope_parameters=rope)


def _qwen3() -> tuple[Any, Any]:
    return Qwen3ForCausalLM, Qwen3Config(**SIZES)


def _mistral() -> tuple[Any, Any]:
    return MistralForCausalLM, MistralConfig(**SIZES, sliding_window=WINDOW)


def _gemma3() -> tuple[Any, Any]:
    kinds = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]
    return Gemma3ForCausalLM, Gemma3TextConfig(
        **SIZES, sliding_window=WINDOW, layer_types=kinds, query_pre_attn_scalar=25
    )


def _gemma2() -> tuple[Any, Any]:
    """Caps its logits softly."""
    return Gemma2ForCausalLM, Gemma2Config(**SIZES)


def _gpt2() -> tuple[Any, Any]:
    return GPT2LMHeadModel, GPT2Config(vocab_size=VOCABULARY, n_embd=48, n_layer=2, n_head=3)


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llama": _llama,
    "one_layer": _one_layer,
    "llama_yarn": _llama_yarn,
    "qwen3": _qwen3,
    "mistral": _mistral,
    "gemma3": _gemma3,
    "gemma2": _gemma2,
    "gpt2": _gpt2,
}
STANDARD = ["llama", "llama_yarn", "qwen3", "mistral", "gemma3"]


def make_model(name: str, attention: str) -> Any:
    kind, config = MODELS[name]()
    torch.manual_seed(17)
    config._attn_implementation = attention
    return kind(config).eval()


def encode(text: str) -> list[int]:
    return [0, *(1 + byte for byte in text.encode())]


TOKENIZER = Tokenizer(
    encode, lambda i: bytes([i - 1]).decode("utf-8", "replace") if 0 < i < 257 else "<s>", frozenset({0})
)


def make_source(name: str) -> ModelSource:
    """A model as open_model() gives it; its tokens are bytes after a special token."""
    _, config = MODELS[name]()
    return ModelSource(
        name=f"tiny-{name}",
        weights=f"random, seed 17, {name}",
        num_layers=config.num_hidden_layers,
        tokenizer=TOKENIZER,
        load=lambda attention: make_model(name, attention),
    )


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the captured suite `tiny`, of whose model evictlab-verdict asks."""
    from verdict_harness import tiny_suite  # noqa: PLC0415 - which imports this file

    from evictlab_tools.verdict import command  # noqa: PLC0415

    source = tiny_suite(tmp_path / "tiny")
    monkeypatch.setattr(command, "open_model", lambda *_: source)
    return tmp_path


def check_schema(result: Any) -> None:
    """By the schema of its own name, where jsonschema is installed."""
    jsonschema = pytest.importorskip("jsonschema")
    name = f"{result['schema'].replace('/', '-')}.schema.json"
    schema = json.loads((Path(__file__).parents[2] / "report" / "schemas" / name).read_text())
    jsonschema.Draft202012Validator(schema).validate(result)


@pytest.fixture(autouse=True)
def one_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all results, so that equal runs give equal ones."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
