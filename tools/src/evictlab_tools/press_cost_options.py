"""The options of evictlab-press-cost, which need no torch."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse

from evictlab_tools import __version__
from evictlab_tools.device import add_device_options

REFERENCE = "SnapKVPress"
PRESSES = (
    "none,SnapKVPress,ExpectedAttentionPress,export:=if(relative_pos < 64; keep; window_attn:64:pool=5:avg),"
    "torch:snapkv@kvpress,native:snapkv@kvpress,torch:expected_attention@kvpress,export:=observed_attn,"
    "export:evolved@real,torch:evolved@real,native:evolved@real"
)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-press-cost",
        description="Measures what presses cost: a prompt's prefill with each, as a multiple of that with kvpress's "
        f"{REFERENCE}, in CPU time (on a GPU: in time), and peak memory. Prompts are random tokens: only cost counts.",
        epilog="example: evictlab-press-cost SmolLM2.gguf --lengths 1024,4096 --presses "
        "SnapKVPress,torch:snapkv@kvpress,export:evolved@real",
    )
    add = result.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("model", help="a folder of a Hugging Face model, a name on its hub, or a GGUF file")
    add("--presses", default=PRESSES, help="with commas between: none, a class of kvpress, export:SCORER (its exported "
        "press), torch:SCORER or native:SCORER (EvictlabPress); of a formula ; stands for a comma")  # fmt: skip
    add("--lengths", default="1024,4096", help="tokens of the prompts (1024,4096)")
    add("--rounds", type=int, default=3, help="of which the quickest counts (3)")
    add("--ratio", type=float, default=0.5, help="share that goes (0.5)")
    add("--layers", type=int, help="of the model, the first so many (all): others cost the same")
    add("--threads", type=int, default=1, help="of PyTorch (1)")
    add_device_options(result)
    return result
