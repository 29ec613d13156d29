"""The options of evictlab-memory, which are read before torch is imported."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
from pathlib import Path

from evictlab_tools import __version__
from evictlab_tools.device import add_device_options
from evictlab_tools.errors import UsageError

LENGTHS = (1024, 4096, 8064)
RETENTIONS = (0.10, 0.25)
UNEVEN, UNIFORM = "adakv@kvpress(snapkv@kvpress)", "snapkv@kvpress"
STEPS = 24


def parse_lengths(text: str) -> tuple[int, ...]:
    try:
        lengths = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise UsageError(f"--lengths {text}: not whole numbers with commas between, as 1024,4096") from None
    if lengths[0] < 2:
        raise UsageError(f"--lengths {text}: a prompt has two tokens at least")
    return lengths


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="evictlab-memory",
        description="Measures what evicting saves while a model generates: bytes of keys and values, and time a token. "
        "With the full cache; with heads that keep different numbers, masked as kvpress masks them, and freed in a "
        "ragged cache; and with heads that keep equally many. And from which length on a smaller cache is quicker.",
        epilog="example: evictlab-memory SmolLM2.gguf book.txt --lengths 1024,4096 --retentions 0.1",
    )
    add = result.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("model", help="a folder of a Hugging Face model, a name on its hub, or a GGUF file")
    add("text", type=Path, help="a text of more tokens than the longest prompt")
    add("--lengths", default=",".join(map(str, LENGTHS)), help="tokens of the prompts (default 1024,4096,8064)")
    add("--retentions", default=",".join(map(str, RETENTIONS)), help="shares kept (default 0.1,0.25)")
    add("--uneven", default=UNEVEN, metavar="SCORER", help=f"whose heads keep different numbers ({UNEVEN})")
    add("--uniform", default=UNIFORM, metavar="SCORER", help=f"whose heads keep equally many ({UNIFORM})")
    add("--steps", type=int, default=STEPS, help=f"tokens after each prompt, a forward pass each (default {STEPS})")
    add("--output", "-o", type=Path, help="write the figures as JSON, too")
    add("--plugin-dir", action="append", type=Path, default=[], help="a folder of scorer plugins; may be repeated")
    add("--calibration", type=Path, metavar="FILE", help="what evictlab-calibrate learned of the model")
    add("--revision", help="commit, branch or tag on the hub")
    add("--threads", type=int, default=1, help="threads (default 1)")
    add_device_options(result)
    return result
