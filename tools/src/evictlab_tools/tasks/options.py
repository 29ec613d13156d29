"""The options of evictlab-tasks, which are read before torch is imported."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
from pathlib import Path

from evictlab_tools import __version__
from evictlab_tools.device import add_device_options
from evictlab_tools.scoring.options import add_scoring_option
from evictlab_tools.shard import add_shard_option
from evictlab_tools.verdict.options import add_shape_options

RETENTIONS = (0.25, 0.50, 0.75, 0.90)
SCORERS = "evolved@real,snapkv@kvpress,expected_attention@kvpress"


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-tasks",
        description="Makes examples whose answers are known (RULER's tasks and others), and measures what eviction "
        "leaves of the answers inside the model.",
        epilog="examples: evictlab-tasks make SmolLM2.gguf --tasks niah_single_1,vt --tokens 1024 --out tasks; "
        "evictlab-tasks run SmolLM2.gguf tasks --scorers snapkv@kvpress --retentions 0.5,0.9",
    )
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = result.add_subparsers(dest="command", required=True, metavar="make|run|list")
    _make(commands.add_parser("make", help="write examples as documents, each with the question unseen and seen"))
    _run(commands.add_parser("run", help="evict, let the model answer, and count"))
    commands.add_parser("list", help="the tasks by name")
    return result


def _make(result: argparse.ArgumentParser) -> None:
    add = result.add_argument
    add("model", help="the model whose tokenizer measures: a folder, a name on the hub, or a GGUF file")
    add(
        "--out",
        type=Path,
        required=True,
        help="the folder: OUT/unseen and OUT/seen, or OUT/turns, get texts and manifest.json each",
    )
    add("--tasks", default="all", help="names with commas between, of `evictlab-tasks list` (default all)")
    add("--tokens", type=int, default=1024, help="of each prompt, exactly (default 1024)")
    add("--examples", default="20", help="of each task: N for the split test, or TRAIN/VALID/TEST (default 20)")
    add("--seed", type=int, default=1, help="(default 1)")
    add("--digits", type=int, default=7, help="of the numbers of needles; RULER's have 7 (default)")
    add("--root", type=Path, help="where Debian packages are unpacked, whose novels needles are hidden in "
        "(build/corpus/packages of scripts/capture-suite)")  # fmt: skip
    add("--texts", type=Path, action="append", default=[], help="or a text of your own; may be repeated")
    add("--turns", type=int, default=1, metavar="N", help="N questions about each prompt, one behind the other with "
        "their right answers, in OUT/turns alone, for evictlab-verdict --protocol decode (1)")  # fmt: skip
    add("--plain", action="store_true", help="RULER's base form: no chat, also where the model has a chat template")
    add("--revision", help="commit, branch or tag on the hub")


def _run(result: argparse.ArgumentParser) -> None:
    add = result.add_argument
    add("model", help="a folder of a Hugging Face model, a name on its hub, or a GGUF file")
    add("inputs", nargs="+", type=Path, help="folders that `evictlab-tasks make` wrote, or manifests")
    add("--scorers", action="append", help="as for evictlab bench, and Python's own as module:name; random and "
        f"the oracle always come ({SCORERS})")  # fmt: skip
    add("--retentions", help="shares kept (default 0.25,0.5,0.75,0.9)")
    add("--keep", metavar="K", help="in place of --retentions: tokens that each set keeps, as 256,512")
    add_shape_options(result)
    add("--examples", type=int, help="of each task, the first so many (default all)")
    add("--new-tokens", type=int, help="that an answer may have at most (default: as the task says)")
    add("--output", "-o", type=Path, default=Path("tasks.json"), help="the JSON (default tasks.json)")
    add("--journal", type=Path, help="what is finished, to go on from after a stop (default OUTPUT.journal)")
    add_shard_option(result)
    add("--correlate", type=Path, nargs="?", const=Path(), action="append", metavar="FILE", help="how well each "
        "measure predicts accuracy: those of this run, and those of a verdict's or a bench's JSON of the same model; "
        "may be repeated")  # fmt: skip
    add("--plugin-dir", action="append", type=Path, default=[], help="a folder of scorer plugins; may be repeated")
    add("--calibration", type=Path, metavar="FILE", help="what evictlab-calibrate learned of the model")
    add("--sliding-layers", action="store_true", help="evict in layers with a sliding window too")
    add("--model-name", help="what the model is called in the result (default: its folder or file)")
    add("--revision", help="commit, branch or tag on the hub")
    add_device_options(result)
    add_scoring_option(result)
    add("--threads", type=int, help="threads (default: one a core)")
