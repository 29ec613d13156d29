"""What a device gives beside the CPU in single precision, and in what time and memory it reads prompts: a table.

scripts/gpu-check runs it. It exits with 1 where a figure lies further off than its type's rounding explains.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import chain
from typing import Any

import torch
from architectures import VOCABULARY
from conftest import make_model, make_source
from test_device import BOUNDS_OF_TYPES, Bound, figures_of, judge_of
from transformers import LlamaConfig, LlamaForCausalLM

from evictlab_tools.attention import attention_name
from evictlab_tools.device import USUAL_DEVICE, DeviceConfig
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.masked import ATTENTION
from evictlab_tools.reading import read

SETS = 4  # of a type's bound: sets that differ where scores are alike move a divergence more than rounding itself
MODELS = ("llama", "llama_yarn", "qwen3", "mistral", "gemma3")
SINGLE = Bound(1e-3, 2e-3, 0.99)
LEAST = 2e-3  # nats: of divergences, beside the share that a type may be off by


@dataclass(frozen=True)
class Line:
    what: str
    figures: str
    right: bool = True


def placed(model: Any, device: DeviceConfig) -> Any:
    return model.to(device.device, getattr(torch, device.dtype))


def furthest(found: dict[str, Any], right: dict[str, Any]) -> float:
    """The largest relative difference of divergences, beyond LEAST nats."""
    pairs = []
    for name, figures in right.items():
        if name in ("nll", "told"):
            continue
        for one, other in zip(found[name], figures, strict=True):
            a, b = (each[0] if isinstance(each, tuple) else each for each in (one, other))
            pairs.append(max(0.0, abs(a - b) - LEAST) / max(abs(b), 1e-9))
    return float(max(pairs))


def agreements(configs: Sequence[DeviceConfig], models: Sequence[str]) -> Iterator[Line]:
    for name in models:
        right = figures_of(judge_of(make_source(name), USUAL_DEVICE, partial(make_model, name)))
        for config in configs:
            what = f"{name}, {config.dtype}, {config.attention}, {'whole' if config.chunk is None else 'in chunks'}"

            def load(attention: str, name: str = name, config: DeviceConfig = config) -> Any:
                return placed(make_model(name, attention_name(attention, config.attention)), config)

            try:
                found = figures_of(judge_of(make_source(name), config, load))
            except ToolError as error:
                yield Line(what, f"refused: {error}", False)
                continue
            bound = BOUNDS_OF_TYPES.get(getattr(torch, config.dtype), SINGLE)
            nll, kl = abs(found["nll"] - right["nll"]), furthest(found, right)
            fits = nll <= bound.nll and kl <= SETS * bound.kl
            yield Line(what, f"NLL off by {nll:.1e} nats, KL by {100 * kl:.2f} %", fits)


def prompts(config: DeviceConfig, lengths: Sequence[int]) -> Iterator[Line]:
    """A model of SmolLM2-135M's sizes, with random weights."""
    sizes = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=max(lengths),
        attn_implementation=attention_name(ATTENTION, config.attention),
    )
    model = placed(LlamaForCausalLM(sizes).eval(), config)
    on_cuda = config.kind == "cuda"
    for length in lengths:
        ids = torch.randint(0, VOCABULARY, (length,)).tolist()
        read(model, ids[:64], None)
        if on_cuda:
            torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        layers = read(model, ids, None, 1, config.step(length)).layers
        if on_cuda:
            torch.cuda.synchronize()
        passed = time.perf_counter() - begun
        memory = f", at most {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB" if on_cuda else ""
        del layers
        yield Line(f"{length} tokens, {config.dtype}, {config.attention}", f"{passed:.2f} s{memory}")


def configs_of(device: str) -> list[DeviceConfig]:
    kernels = ["sdpa", *(["flash_attention_2"] if device != "cpu" and find_spec("flash_attn") else [])]
    return [
        DeviceConfig(device, dtype, None, kernel, chunk)
        for dtype in ("float32", "bfloat16", "float16")
        for kernel in kernels
        for chunk in (None, 29)
        if kernel == "sdpa" or dtype != "float32"
    ]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="auto")
    options.add_argument("--models", default=",".join(MODELS), help="of the comparison, with commas between")
    options.add_argument("--lengths", help="of prompts, with commas between (1024,8192,32768; on the CPU 1024)")
    given = options.parse_args()
    try:
        device = DeviceConfig(given.device).resolved()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    usual = "1024" if device.kind == "cpu" else "1024,8192,32768"
    lengths = [int(length) for length in (given.lengths or usual).split(",")]
    name = torch.cuda.get_device_name() if device.kind == "cuda" else device.kind
    print(f"{name}, torch {torch.__version__}\n", flush=True)
    wrong = 0
    configs = configs_of(device.device)
    measured = [c for c in configs if c.chunk is None and c.dtype in ("float32", "bfloat16")]
    with torch.inference_mode(False):
        for line in chain(agreements(configs, given.models.split(",")), *(prompts(c, lengths) for c in measured)):
            wrong += not line.right
            print(f"{'ok' if line.right else 'WRONG':<6}{line.what:<48}{line.figures}", flush=True)
    print(f"\n{wrong} wrong" if wrong else "\nall as it should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
