"""A suite of three short texts in a tiny model, the model's runs of them, and verdicts on the suite."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conftest import encode, make_model, make_source
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.documents import Document
from evictlab_tools.models import ModelSource
from evictlab_tools.verdict.command import command
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.judge import DocumentRun, Judge, Masks

TEXTS = [
    "It is a truth universally acknowledged, that 1 single man in possession of 20,000 pounds must be in want.",
    "def truth(man: int) -> bool:\n    return man == 1 and fortune(man) >= 20_000  # universally acknowledged\n\n\n",
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this very short document,",
]
KINDS = ["prose", "code", "legal"]
PROMPT = 70

_reference: dict[int, torch.Tensor] = {}  # layer: what query [N] of KV head [H_kv] sees of key [N]


def _reference_attention(
    module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, _mask: Any, _dropout: float = 0, **options: Any
) -> tuple[torch.Tensor, None]:
    heads, tokens = q.shape[1], q.shape[2]
    output = torch.zeros(1, tokens, heads, q.shape[3])
    window = options.get("sliding_window") or tokens
    for head in range(heads):
        kv = head // (heads // k.shape[1])
        for i in range(tokens):
            seen = [j for j in range(max(0, i - window + 1), i + 1) if _reference[module.layer_idx][kv, i, j]]
            weights = (k[0, kv, seen].double() @ q[0, head, i].double() * options["scaling"]).softmax(-1)
            output[0, i, head] = (weights @ v[0, kv, seen].double()).float()
    return output, None


ALL_ATTENTION_FUNCTIONS.register("test_reference", _reference_attention)
ALL_MASK_ATTENTION_FUNCTIONS.register("test_reference", ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def document(text: int = 0, prompt: int = PROMPT) -> TokenDocument:
    return TokenDocument(f"text {text}", KINDS[text], "test", tuple(encode(TEXTS[text])), prompt)


def read(model: str, text: int = 0, **options: Any) -> DocumentRun:
    return Judge(make_source(model), **options).read(document(text))


def random_masks(run: DocumentRun, seed: int, share: float = 0.5) -> Masks:
    draw = np.random.default_rng(seed)
    return [draw.random((layer.k.shape[0], run.prompt)) < share for _, layer in sorted(run.layers.items())]


def reference_logits(model: str, run: DocumentRun, masks: Masks) -> torch.Tensor:
    """One pass over all tokens: queries of the continuation do not see what the masks leave out."""
    tokens, n = len(run.document.ids), run.prompt
    seen = [torch.ones(mask.shape[0], tokens, tokens, dtype=torch.bool) for mask in masks]
    for mask, of_layer in zip(masks, seen, strict=True):
        of_layer[:, n:, :n] = torch.from_numpy(mask)[:, None, :]
    return reference_logits_of(model, run, seen)


def reference_logits_of(model: str, run: DocumentRun, seen: Sequence[torch.Tensor]) -> torch.Tensor:
    """One pass over all tokens: what query of KV head sees of key, [layer]: [H_kv][N][N]."""
    _reference.update(enumerate(seen))
    with torch.no_grad():
        output = make_model(model, "test_reference")(input_ids=torch.tensor([run.document.ids]), use_cache=False)
    logits: torch.Tensor = output.logits[0, run.prompt :]
    return logits


def tiny_suite(folder: Path) -> ModelSource:
    source = make_source("llama")
    texts = [
        Document(f"text {i}", kind, "test", text, "test", "MIT")
        for i, (text, kind) in enumerate(zip(TEXTS, KINDS, strict=True))
    ]
    texts.append(Document("to train on", "prose", "train", "x" + TEXTS[0][::-1], "test", "MIT"))
    capture_suite(source, texts, Settings(PROMPT, 24, dtype="f32"), folder, name="tiny", licence="MIT")
    return source


def verdict_of(folder: Path, *options: str) -> dict[str, Any]:
    output = folder / "verdict.json"
    scorers = ["--scorers", "knorm@kvpress,snapkv@kvpress:window=8,adakv@kvpress(knorm@kvpress)"]
    command(["tiny", str(folder / "tiny"), *scorers, "--retentions", "0.25,0.5", "-o", str(output), *options])
    result: dict[str, Any] = json.loads(output.read_text())
    return result
