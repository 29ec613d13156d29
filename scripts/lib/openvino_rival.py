"""How much of a text OpenVINO GenAI's own cache eviction leaves as it is, beside evictlab-llama's.

Each engine is held to itself: the words that a model says greedily with eviction, to those without. `--engine` names
what `evictlab-llama --generate N --json FILE` wrote. OpenVINO evicts whole blocks of 32 tokens of a layer, keeps the
first 32 and the latest 128, and lets no more than `--cells` and a block be cached while it generates. Needs the package
`openvino-genai`, which docs/llama.md says of which version.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import difflib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

BLOCK, START, RECENT = 32, 32, 128  # its default areas


def agreement(reference: str, found: str) -> dict[str, float]:
    """Of words: the same ones until the first other one; and what both texts have in the same order, from 0 to 1."""
    expected, words = reference.split(), found.split()
    same = next((i for i, pair in enumerate(zip(expected, words, strict=False)) if pair[0] != pair[1]), len(words))
    matcher = difflib.SequenceMatcher(None, expected, words, autojunk=False)
    return {"same_words": min(same, len(expected)), "words": len(expected), "alike": matcher.ratio()}


def engine_rows(file: Path) -> Iterator[dict[str, Any]]:
    """What a run of evictlab-llama says of its document."""
    run = json.loads(file.read_text())
    for row in run["rows"]:
        kept = row["cache"]["cells"]
        name = f"{row['scorer']}, {run['granularity']}" + (f", every {run['every']}" if "every" in run else "")
        yield {"document": run["document"], "rule": name, "cells": kept, **agreement(run["full"]["text"], row["text"])}


def openvino_rows(
    model: Path, texts: list[Path], tokens: int, length: int, cells: list[int]
) -> Iterator[dict[str, Any]]:

    modes = {"SUM": genai.AggregationMode.SUM, "NORM_SUM": genai.AggregationMode.NORM_SUM}
    config = genai.GenerationConfig()
    config.max_new_tokens, config.do_sample, config.ignore_eos = length, False, True

    def say(rule: str | None, most: int) -> list[tuple[str, float]]:
        schedule = genai.SchedulerConfig()
        schedule.cache_size = 1  # GB
        schedule.enable_prefix_caching = False
        schedule.max_num_batched_tokens = tokens
        if rule is not None:
            schedule.use_cache_eviction = True
            schedule.cache_eviction_config = genai.CacheEvictionConfig(START, RECENT, most, modes[rule])
        # As evictlab-llama computes: products in F32, keys and values in F16 (its default here is 8 bits).
        exact = {"KV_CACHE_PRECISION": "f16", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        pipeline = genai.LLMPipeline(str(model), "CPU", scheduler_config=schedule, **exact)
        tokenizer, said = pipeline.get_tokenizer(), []
        for text in texts:
            ids = tokenizer.encode(text.read_text(), add_special_tokens=False).input_ids.data[:, :tokens]
            if ids.shape[1] < tokens:
                raise SystemExit(f"{text} has {ids.shape[1]} tokens, not {tokens}")
            prompt = genai.TokenizedInputs(ov.Tensor(ids.copy()), ov.Tensor(np.ones_like(ids)))
            began = time.process_time()
            answer = pipeline.generate(prompt, config)
            said.append((tokenizer.decode(list(answer.tokens[0])), time.process_time() - began))
        return said

    full = say(None, 0)
    for most in cells:
        for rule in modes:
            for text, (reference, _), (found, seconds) in zip(texts, full, say(rule, most), strict=True):
                named = {
                    "document": text.name,
                    "rule": f"OpenVINO GenAI, {rule}",
                    "cells": most,
                    "cpu_seconds": seconds,
                }
                yield {**named, **agreement(reference, found), "said": found, "said_without": reference}


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the documents."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["rule"], row["cells"]), []).append(row)
    lines = [
        "| rule | cells | documents | same words before the first other one | alike |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for (rule, cells), group in groups.items():
        share = sum(row["same_words"] / max(1, row["words"]) for row in group) / len(group)
        alike = sum(row["alike"] for row in group) / len(group)
        lines.append(f"| {rule} | {cells} | {len(group)} | {share:.0%} | {alike:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path, nargs="*")
    parser.add_argument("--tokens", type=int, default=1024, help="of each text that are the prompt (1024)")
    parser.add_argument("--generate", type=int, default=64, help="tokens that are said (64)")
    parser.add_argument("--cells", default="256,512", help="tokens cached at most, whole blocks of 32 (256,512)")
    parser.add_argument("--engine", type=Path, action="append", default=[], help="figures of evictlab-llama --generate")
    parser.add_argument("--json", type=Path, help="write all rows there")
    given = parser.parse_args()
    cells = [int(number) for number in given.cells.split(",")]
    if any(number % BLOCK or number <= START + RECENT for number in cells):
        parser.error(f"--cells {given.cells}: whole blocks of {BLOCK}, more than {START + RECENT}")
    rows = [row for file in given.engine for row in engine_rows(file)]
    if given.texts:
        rows += openvino_rows(given.model, given.texts, given.tokens, given.generate, cells)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
