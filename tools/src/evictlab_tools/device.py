"""Where a model runs, in which precision and in how large steps: the options of all commands that run one.

The default, float32 on the CPU, gives the figures that the pages have, to the bit. Torch is imported only once a device
is looked for.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from evictlab_tools.errors import UsageError

DTYPES = ("auto", "float32", "bfloat16", "float16")
ATTENTIONS = ("sdpa", "flash_attention_2")
WHOLE = 8192  # tokens of a document that are run at once where nobody asks for chunks
CHUNK = 1024  # tokens at a time of longer ones


@dataclass(frozen=True)
class DeviceConfig:
    device: str = "cpu"  # auto, cpu, cuda, cuda:N or mps
    dtype: str = "float32"  # one of DTYPES; auto: that of the stored weights
    device_map: str | None = None  # auto: layers over all accelerators that there are
    attention: str = "sdpa"  # one of ATTENTIONS
    chunk: int | None = None  # tokens at a time; 0: documents whole; None: CHUNK where a document is longer than WHOLE

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise UsageError(f"--device {self.device}: not auto, cpu, cuda, cuda:N or mps")
        if self.chunk is not None and self.chunk < 0:
            raise UsageError("--chunk is a number of tokens, or 0 for documents that run whole")

    @property
    def kind(self) -> str:
        """cpu, cuda or mps (auto, until it is resolved)."""
        return self.device.partition(":")[0]

    def step(self, tokens: int) -> int:
        """How many tokens of a document of so many are run at a time."""
        if self.chunk is None:
            return tokens if tokens <= WHOLE else CHUNK
        return min(self.chunk, tokens) or tokens

    def to_json(self) -> dict[str, Any]:
        """What results and journals say; nothing of the default."""
        if self == USUAL_DEVICE:
            return {}
        said: dict[str, Any] = {"device": self.kind, "dtype": self.dtype}
        for name in ("device_map", "attention", "chunk"):
            if getattr(self, name) != getattr(USUAL_DEVICE, name):
                said[name] = getattr(self, name)
        return said

    @property
    def field(self) -> dict[str, Any]:
        """to_json() as a member of a result's or journal's object, if there is anything to say."""
        said = self.to_json()
        return {"execution": said} if said else {}

    def words(self) -> str:
        """For the name of a judge; "" of the default."""
        return ", ".join(f"{name} {value}" for name, value in self.to_json().items())

    def resolved(self) -> DeviceConfig:
        """With a device that is there in place of auto; UsageError where it is not."""
        import torch  # noqa: PLC0415 - options are read before

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        mps = torch.backends.mps.is_available()
        device = self.device
        if device == "auto":
            device = "cuda" if count else "mps" if mps else "cpu"
        found = replace(self, device=device)
        if found.kind == "cuda" and int(device.partition(":")[2] or 0) >= count:
            there = f"sees {count} CUDA device{'s' if count != 1 else ''}" if count else "sees no CUDA device"
            raise UsageError(f"--device {device}: torch {torch.__version__} {there}; --device cpu works everywhere")
        if found.kind == "mps" and not mps:
            raise UsageError(f"--device mps: torch {torch.__version__} finds none here; --device cpu works everywhere")
        return found

    def check_attention(self) -> None:
        """Of a resolved one whose type is known: UsageError where the attention cannot be had."""
        if self.attention != "flash_attention_2":
            return
        if self.kind != "cuda" or self.dtype == "float32":
            raise UsageError(
                "--attention flash_attention_2 works on CUDA devices, in float16 or bfloat16; "
                f"here it is {self.kind} and {self.dtype}; --attention sdpa works everywhere"
            )
        if find_spec("flash_attn") is None:
            raise UsageError("--attention flash_attention_2 needs the package flash-attn; --attention sdpa does not")


USUAL_DEVICE = DeviceConfig()


def add_device_options(result: argparse.ArgumentParser, *, dtype: str = "--dtype") -> None:
    """`dtype`: the name of that option, where --dtype is something else."""
    add = result.add_argument
    add("--device", metavar="DEVICE", help="where the model runs: auto, cpu (default), cuda, cuda:N or mps")
    add(dtype, dest="model_dtype", choices=DTYPES, default="float32", help="precision of the model (float32); auto: "
        "that of its stored weights")  # fmt: skip
    add("--device-map", choices=("auto",), help="in place of --device: the model over several GPUs")
    add("--attention", choices=ATTENTIONS, default="sdpa", help="what runs the model over a document (sdpa)")
    add("--chunk", type=int, metavar="N", help="run documents N tokens at a time, with a KV cache, in bounded memory; "
        f"0: whole (default: whole up to {WHOLE} tokens, then {CHUNK} at a time)")  # fmt: skip


def device_from(given: argparse.Namespace) -> DeviceConfig:
    """Of the options, with a device that is there."""
    if given.device_map is not None and given.device is not None:
        raise UsageError("give --device or --device-map, not both")
    device = given.device or ("auto" if given.device_map else "cpu")
    config = DeviceConfig(device, given.model_dtype, given.device_map, given.attention, given.chunk)
    return config.resolved()
