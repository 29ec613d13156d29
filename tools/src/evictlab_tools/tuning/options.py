"""The options of evictlab-tune, which are read before torch is imported."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
from pathlib import Path

from evictlab_tools import __version__
from evictlab_tools.device import add_device_options
from evictlab_tools.propose.serve import TIMEOUT
from evictlab_tools.tuning.budgets import BUDGETS, UNIFORM
from evictlab_tools.verdict.options import RETENTIONS, add_shape_options


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-tune",
        description="Tunes a formula by gradients of the model's KL divergence: its constants, how they change with "
        "the layer, and terms that it lacks. Train documents and texts say where to go, a suite's valid documents "
        "whether it is better there.",
        epilog="example: evictlab-tune SmolLM2.gguf suites/smollm2 --formula start.formula --output tuned.formula",
    )
    add = result.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("model", nargs="?", help="a folder of a Hugging Face model, a name on its hub, or a GGUF file")
    add("inputs", nargs="*", type=Path, help="captured suites, by folder or name; manifests of documents; text files")
    add("--formula", help="a .formula file, or the formula itself")
    add(
        "--propose", action="store_true", help="instead propose steps from the champion to `evictlab evolve --proposer`"
    )
    add("--serve", action="store_true", help="instead answer what documents say to an `evictlab-tune --judge`, one "
        "request a line")  # fmt: skip
    add("--judge", metavar="COMMAND", action="append", help="in place of MODEL and INPUTS: a process that reads "
        "documents, such as \"evictlab-farm --local 4 'evictlab-tune MODEL INPUTS --serve'\"; once for each of "
        "several models, whose documents all say where to go")  # fmt: skip
    add("--seconds", type=float, default=TIMEOUT - 10, help="with --propose: for reading documents, a request "
        f"({TIMEOUT - 10:g})")  # fmt: skip
    add("--rounds", type=int, default=1, help="each goes on from what the last found, while that is better (1)")
    add("--read", type=int, metavar="N", help="train documents that a round reads, the next ones each time; what was "
        "read before counts on, at half its weight after each step since (default: all, each round anew)")  # fmt: skip
    add("--grow", type=int, default=16, metavar="N", help="terms, and changes with the layer, that a round may bring "
        "into the formula; with 0 only its constants move (16)")  # fmt: skip
    add("--terms", type=Path, metavar="FILE", help="terms that may come in, a formula a line (default: a list of "
        "signals, combinations of them and ranks)")  # fmt: skip
    add("--seed", type=int, default=1, help="of the noise at the boundary (1)")
    add("--retentions", default=",".join(map(str, RETENTIONS)), help="shares kept (default 0.1,0.25,0.5,0.75)")
    add("--weights", help="of the retentions (default: all alike)")
    add("--tried", type=int, default=32, metavar="N", help="train documents that choose the length of a step (32)")
    add("--output", "-o", type=Path, help="also write the formula to this file")
    add("--journal", type=Path, help="what documents said, to go on from after a stop (default OUTPUT.journal)")
    add("--calibration", type=Path, metavar="FILE", help="what evictlab-calibrate learned of the model, for columns "
        "that read it")  # fmt: skip
    add("--budgets", choices=BUDGETS, default=UNIFORM, help="who shares a budget by the formula's scores: nobody "
        "(uniform, the default), the heads of a layer, as in AdaKV, or those of all layers, as in KVzip")  # fmt: skip
    add_shape_options(result)
    add("--sliding-layers", action="store_true", help="evict in layers with a sliding window too")
    add("--revision", help="commit, branch or tag on the hub")
    add("--prompt", type=int, default=1024, help="of texts: tokens of the prompt (default 1024)")
    add("--continuation", type=int, default=128, help="of texts: tokens after it (default 128)")
    add_device_options(result)
    add("--threads", type=int, help="threads (default: one a core)")
    return result
