"""evictlab-press-cost: what presses add to a prompt's prefill, beside kvpress's own.

Each press runs in turn, several rounds, in one process: ratios of CPU time (user and system, all threads) within one
run hold on machines that do other things too. Peak memory is the process's own, above what it held before the prompt.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import torch

from evictlab_tools.device import device_from
from evictlab_tools.errors import UsageError, run_command
from evictlab_tools.library import Lab
from evictlab_tools.models import open_model
from evictlab_tools.press_cost_options import REFERENCE, parser
from evictlab_tools.shown import say

HELD = Path("/proc/self/status")


def exported(lab: Lab, scorer: str, folder: Path) -> Any:
    """The class of a scorer's exported press."""
    name = f"cost_{len(list(folder.iterdir()))}"
    file = folder / f"{name}.py"
    lab.library.run_program("export", scorer, "--to", "kvpress", "--name", name, "--output", str(file))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return getattr(module, name.title().replace("_", "") + "Press")


def full_name(press: str, lab: Lab) -> str:
    """With the full name of its scorer, if it has one."""
    kind, colon, scorer = press.partition(":")
    return f"{kind}:{lab.full_name(scorer)}" if colon else press


def press_of(text: str, ratio: float, lab: Lab, folder: Path) -> Any:
    """None: the prompt alone."""
    import kvpress  # noqa: PLC0415 - an extra

    from evictlab_tools.press import EvictlabPress  # noqa: PLC0415

    kind, _, scorer = text.partition(":")
    if text == "none":
        return None
    if kind in ("torch", "native") and scorer:
        return EvictlabPress(ratio, scorer, scoring=kind)
    if kind == "export" and scorer:
        return exported(lab, scorer, folder)(ratio)
    if not hasattr(kvpress, text):
        raise UsageError(f"--presses: '{text}' is no class of kvpress, nor export:, torch: or native: and a scorer")
    return getattr(kvpress, text)(ratio)


def peak() -> float:
    """MiB that the process held at most since the last call of forget()."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    line = next(line for line in HELD.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def forget() -> float:
    """Begins anew, and says what is held now."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)  # else what earlier runs freed still counts as held
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return peak()


@torch.no_grad()
def prefill(model: Any, press: Any, ids: torch.Tensor) -> tuple[float, float]:
    """Seconds, and MiB above what was held."""
    from transformers import DynamicCache  # noqa: PLC0415

    on_gpu = ids.device.type == "cuda"
    clock: Callable[[], float] = perf_counter if on_gpu else process_time
    held, begun = forget(), clock()
    if press is None:
        model(input_ids=ids, past_key_values=DynamicCache(), logits_to_keep=1)
    else:
        with press(model):
            model(input_ids=ids, past_key_values=DynamicCache(), logits_to_keep=1)
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - begun, peak() - held


def measure(model: Any, presses: dict[str, Any], length: int, rounds: int) -> None:
    device = next(model.parameters()).device
    ids = torch.randint(0, model.config.vocab_size, (1, length), generator=torch.Generator().manual_seed(length))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in presses}
    for _ in range(rounds):
        for name, press in presses.items():
            found[name].append(prefill(model, press, ids.to(device)))
    usual = min(seconds for seconds, _ in found[REFERENCE])
    for name, all_rounds in found.items():
        seconds = min(each for each, _ in all_rounds)
        say(f"{length:>7}  {seconds:8.2f} s  {seconds / usual:5.2f}  {min(m for _, m in all_rounds):7.0f} MiB  {name}")


def command(arguments: Sequence[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    lengths = [int(part) for part in given.lengths.split(",") if part.isdecimal()]
    if not lengths or given.rounds < 1:
        raise UsageError("--lengths are numbers of tokens, and --rounds is at least 1")
    torch.set_num_threads(given.threads)
    model: Any = open_model(given.model, None, device_from(given)).load("sdpa")
    if given.layers is not None:
        model.model.layers = model.model.layers[: given.layers]
        model.config.num_hidden_layers = given.layers
    names = [part.strip() for part in given.presses.split(",")]
    if REFERENCE not in names:
        names.insert(0, REFERENCE)
    lab = Lab()
    with TemporaryDirectory(prefix="evictlab-press-cost-") as folder:
        named = [full_name(name.replace(";", ","), lab) for name in names]
        presses = {name: press_of(name, given.ratio, lab, Path(folder)) for name in named}
        prefill(model, presses[REFERENCE], torch.arange(128, device=next(model.parameters()).device)[None])
        say(f" tokens        time      x     memory  press (x: of {REFERENCE})")
        for length in lengths:
            measure(model, presses, length, given.rounds)


def main() -> None:
    sys.exit(run_command(command))
