"""evictlab-memory: what does evicting save, in bytes and in time?"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from evictlab_tools import __version__
from evictlab_tools.device import device_from
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.files import check_output, read_bytes, write_json
from evictlab_tools.library import Lab
from evictlab_tools.made import made
from evictlab_tools.memory.options import parse_lengths, parser
from evictlab_tools.memory.result import Length, crossovers, to_json
from evictlab_tools.models import ModelSource, open_model
from evictlab_tools.shown import say
from evictlab_tools.verdict.cost import processor_name
from evictlab_tools.verdict.options import parse_retentions


@dataclass(frozen=True)
class Measuring:
    """A model, and what is measured with it."""

    model: Any
    given: argparse.Namespace
    retentions: tuple[float, ...]

    def at(self, prompt: Tensor, steps: Tensor) -> Length:
        from evictlab_tools.memory.measure import caches, clock_of, measure  # noqa: PLC0415 - they need kvpress
        from evictlab_tools.memory.noted import Noted, read_prompt  # noqa: PLC0415

        given, clock = self.given, clock_of(prompt.device)
        removed = tuple(1.0 - retention for retention in self.retentions)
        presses = [
            Noted(max(removed), scorer, tuple(given.plugin_dir), given.calibration, removed=removed, clock=clock)
            for scorer in (given.uneven, given.uniform)
        ]
        read = read_prompt(self.model, prompt, presses, clock)
        scoring = dict(zip((given.uneven, given.uniform), read.scoring, strict=True))
        rows = measure(self.model, caches(self.model, read, self.retentions), steps, prompt.shape[1], clock)
        return Length(prompt.shape[1], read.seconds, scoring, rows)


def name_scorers(given: argparse.Namespace) -> None:
    """Opens the two, and notes their full names."""
    lab = Lab(given.plugin_dir)
    if given.calibration is not None:
        lab.calibrate(given.calibration)
    uneven, uniform = lab.open(given.uneven), lab.open(given.uniform)
    if uniform.needs.uneven:
        raise UsageError(f"--uniform {given.uniform}: its heads keep different numbers of tokens")
    given.uneven, given.uniform = uneven.text, uniform.text


def ids_of(given: argparse.Namespace, source: ModelSource, count: int) -> list[int]:
    ids = source.tokenizer.encode(read_bytes(given.text).decode("utf-8", "replace"))
    if len(ids) < count:
        raise ToolError(
            f"{given.text}: has {len(ids)} tokens, and {count} are needed: name a longer text, or smaller --lengths"
        )
    return ids[:count]


def run(given: argparse.Namespace) -> None:
    lengths, retentions = parse_lengths(given.lengths), parse_retentions(given.retentions)
    if given.steps < 1 or given.threads < 1:
        raise UsageError("--steps and --threads are at least 1")
    if find_spec("kvpress") is None:
        raise ToolError("kvpress's masking is measured beside others: pip install 'evictlab-tools[kvpress]'")
    if given.output is not None:
        check_output(given.output, [given.text])
    name_scorers(given)
    torch.set_num_threads(given.threads)
    source = open_model(given.model, given.revision, device_from(given))
    ids = ids_of(given, source, lengths[-1] + given.steps)
    model: Any = source.load(source.device.attention)
    tokens = torch.tensor([ids], device=model.device)
    measuring, found = Measuring(model, given, retentions), []
    for length in lengths:
        found.append(measuring.at(tokens[:, :length], tokens[:, length : length + given.steps]))
        say(found[-1].table(), flush=True)
    for one in crossovers(found):
        say(one.words(lengths))
    if given.output is not None:
        write_json(given.output, to_json(found, about(given, source)))


def about(given: argparse.Namespace, source: ModelSource) -> dict[str, Any]:
    on_cpu = source.device.kind == "cpu"
    return {
        "made_by": f"evictlab-memory {__version__}",
        "made": made(),
        "model": source.name,
        "weights": source.weights,
        **source.device.field,
        "time": "of processors" if on_cpu else "by the clock",
        "measured_on": f"{processor_name()}, {given.threads} thread{'s' if given.threads > 1 else ''}",
        "uneven": given.uneven,
        "uniform": given.uniform,
        "steps": given.steps,
    }


def main() -> None:
    given = parser().parse_args()
    sys.exit(run_command(lambda: run(given), "nothing was written"))
