"""The options of evictlab-capture, which are read before torch is imported."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
from pathlib import Path

from evictlab_tools import __version__
from evictlab_tools.device import add_device_options
from evictlab_tools.documents import SPLITS
from evictlab_tools.shard import add_shard_option
from evictlab_tools.trace_file import DTYPES


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-capture",
        description="Captures what the attention of a causal model uses, as a suite of traces for evictlab.",
        epilog="examples: evictlab-capture ./SmolLM2-135M-Instruct documents.json --out suites/mine --dtype i8; "
        "evictlab-capture ./SmolLM2-135M-Instruct --reconstruct --out suites/mine",
    )
    add = result.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("model", help="a folder of a Hugging Face model, a name on its hub, or a GGUF file")
    add("inputs", nargs="*", type=Path, help="manifests of documents (.json, see docs/traces.md), or text files; none "
        "with --reconstruct, for a suite that is captured already")  # fmt: skip
    add("--out", type=Path, required=True, help="the suite's folder; a capture that was stopped goes on there")
    add("--name", help="the suite's name (default: the folder's)")
    add("--model-name", help="what the model is called in the suite (default: its folder, file or hub name)")
    add("--licence", default="unknown", help="licence of the model's weights, for suite.json")
    add("--revision", help="commit, branch or tag on the hub")
    add("--layers", default="all", help="all (default), or a list such as 0,7,12-15; a manifest may say other")
    add("--prompt", type=int, default=1024, help="tokens of the prompt (default 1024)")
    add("--continuation", type=int, default=128, help="tokens after it, whose queries judge (default 128)")
    add(
        "--dtype",
        choices=DTYPES,
        default="f16",
        help="of q, k and v in the traces; i8 has a scale a token and head (default f16)",
    )
    add("--wov-l1", action="store_true", help="also hold CriticalKV's norms, which follow from v and o_proj")
    add("--no-output-projection", action="store_true", help="leave out model.safetensors: no output error")
    add("--probes", type=int, default=0, metavar="N", help="also hold the sensitivity of the model's predictions to "
        "heads' outputs, by N draws (8 serve), for the measure predicted_kl; about doubles the size (0)")  # fmt: skip
    add("--reconstruct", action="store_true", help="also run the second pass of KVzip, KVzip+ and KVgrad, which "
        "repeats the prompt, and hold what it tells of each token in a small file beside each trace")  # fmt: skip
    add_shard_option(result)
    add("--kind", default="text", help="kind of the plain text files (default text)")
    add("--split", choices=SPLITS, default="test", help="split of the plain text files (default test)")
    add("--text-licence", default="unknown", help="licence of the plain text files")
    add("--dry-run", action="store_true", help="say what memory a document will need, and run nothing")
    add_device_options(result, dtype="--model-dtype")
    add("--threads", type=int, help="threads of torch (default: one a core)")
    return result
