"""What a run over one document will need, by arithmetic on the model's configuration: nothing is loaded or run."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evictlab_tools.device import DeviceConfig

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}  # bytes of a number
FLOAT = 4
GIB = 2.0**30


@dataclass(frozen=True)
class ModelSizes:
    parameters: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    vocabulary: int

    @staticmethod
    def of(config: Any, parameters: int) -> ModelSizes:
        """`config` is transformers' own of a text model."""
        heads = int(config.num_attention_heads)
        return ModelSizes(
            parameters,
            int(config.num_hidden_layers),
            heads,
            int(getattr(config, "num_key_value_heads", None) or heads),
            int(getattr(config, "head_dim", None) or config.hidden_size // heads),
            int(config.hidden_size),
            int(getattr(config, "intermediate_size", None) or 4 * config.hidden_size),
            int(config.vocab_size),
        )


@dataclass(frozen=True)
class Estimate:
    """Bytes. The parts of memory are there at one time; what the allocator and libraries take is not among them."""

    weights: int
    cache: int  # keys and values of the document
    queries: int  # of one layer where the document runs in chunks or is captured, else of all
    step: int  # activations while the model runs
    logits: int  # of the continuation
    disk: int  # queries of a document that runs in chunks

    @property
    def memory(self) -> int:
        return self.weights + self.cache + self.queries + self.step + self.logits


def estimate(
    model: ModelSizes, device: DeviceConfig, prompt: int, continuation: int, *, captures: bool = False
) -> Estimate:
    """Of the model and one document. `device` is resolved, its type known. Captures hold one layer's queries."""
    width, tokens = WIDTH[device.dtype], prompt + continuation
    step = device.step(tokens)
    in_chunks = step < tokens
    query, key = model.heads * model.head_dim, model.kv_heads * model.head_dim  # numbers a token and layer
    copies = 0 if in_chunks or width == FLOAT else FLOAT  # whole documents are held in single precision
    attention = 2 * query * tokens * width  # keys and values as all heads see them
    if in_chunks:
        attention += step * tokens * (1 + width)  # the mask, as it is made and as it is added
    feed_forward = 3 * model.intermediate * step * width
    proof = 6 * query * step * FLOAT  # queries without rotation, moved and turned again
    return Estimate(
        model.parameters * width,
        2 * key * model.layers * tokens * (width + copies),
        query * tokens * FLOAT * (1 if in_chunks or captures else model.layers),
        (3 * model.hidden + 3 * query) * step * width + proof + max(attention, feed_forward),
        (continuation + 1) * model.vocabulary * width,
        query * model.layers * tokens * width if in_chunks else 0,
    )


def estimate_text(
    name: str, model: ModelSizes, device: DeviceConfig, prompt: int, continuation: int, *, captures: bool = False
) -> str:
    found = estimate(model, device, prompt, continuation, captures=captures)
    tokens = prompt + continuation
    step = device.step(tokens)
    how = f"in chunks of {step}" if step < tokens else "whole"
    rows = {
        f"weights, {model.parameters / 1e9:.2f} billion in {device.dtype}": found.weights,
        f"KV cache, {model.layers} layers of {model.kv_heads} heads of {model.head_dim}": found.cache,
        "queries of one layer" if step < tokens or captures else "queries of all layers": found.queries,
        "activations while the model runs": found.step,
        f"logits of {continuation + 1} positions": found.logits,
        "together": found.memory,
    }
    lines = [f"{name}, a document of {prompt} + {continuation} tokens, {how}, on {device.kind} (GiB):"]
    lines += [f"  {size / GIB:9.3f}  {what}" for what, size in rows.items()]
    if found.disk:
        lines.append(f"  {found.disk / GIB:9.3f}  on disk: queries of all layers")
    return "\n".join(lines)
