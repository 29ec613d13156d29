"""What a document says of every direction: how its KL divergence would change, and how many tokens change sides."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evictlab_tools.errors import ToolError
from evictlab_tools.shapes import kept_count
from evictlab_tools.tuning.boundary import Boundary, Doubles, boundary, side_deviations, standing
from evictlab_tools.tuning.directions import Point, layer_factor
from evictlab_tools.tuning.through_model import Chosen, divergences
from evictlab_tools.verdict.judge import DocumentRun

SMALLEST = 1e-9  # nats: a divergence that is 0 has no logarithm


@dataclass(frozen=True)
class Pull:
    """`slopes` [retention][direction]: of the divergence's logarithm. `metric` [retention][direction][direction]: with
    it, the squared length of a step is about the share of kept tokens that change sides, squared token by token."""

    slopes: Doubles
    metric: Doubles


def pull_of(run: DocumentRun, point: Point, retentions: Sequence[float], seed: Sequence[int]) -> Pull:
    """`seed` is of the noise at the boundary. ToolError where a figure is not finite."""
    point.prepare(run)
    random = np.random.default_rng(list(seed))
    layers = [number for number in range(len(run.layers)) if run.is_evicted(number)]

    def scored(number: int) -> Doubles:
        return point.scorer.score(run.layer_input(number, point.scorer))

    own = dict(zip(layers, run.judge.pool.map(scored, layers), strict=True))
    bounds = [
        {number: boundary(own[number], kept_count(run.prompt, 1 - retention), random) for number in layers}
        for retention in retentions
    ]
    worths = _worths(run, bounds)

    def of_layer(number: int) -> tuple[Doubles, Doubles]:
        by_direction = point.slopes(run, number, own[number])
        found = [
            _of_boundary(by_retention[number], worth[number], by_direction)
            for by_retention, worth in zip(bounds, worths, strict=True)
        ]
        factors = np.array([1.0, layer_factor(run, number)])
        slopes, metric = (np.stack(each) for each in zip(*found, strict=True))
        return np.kron(factors, slopes), np.kron(np.outer(factors, factors), metric)

    total: list[Doubles] = [sum(parts) for parts in zip(*run.judge.pool.map(of_layer, layers), strict=True)]
    if not all(np.isfinite(each).all() for each in total):
        raise ToolError(f"{point.scorer.text} on {run.document.name}: a derivative is no finite number")
    heads = sum(own[number].shape[0] for number in layers)
    counts = np.array([kept_count(run.prompt, 1 - retention) for retention in retentions])
    return Pull(total[0], total[1] / (heads * counts)[:, None, None])


def _worths(run: DocumentRun, bounds: Sequence[dict[int, Boundary]]) -> list[dict[int, Doubles]]:
    """[retention][layer]: derivatives [H_kv][c] of the divergence's logarithm by what is kept."""
    chosen = [[_chosen(run, of_budget, number) for number in range(len(run.layers))] for of_budget in bounds]
    logs = divergences(run, chosen).clamp_min(SMALLEST).log()
    leaves = [of.kept for row in chosen for of in row if of.kept.requires_grad]
    found = iter(torch.autograd.grad(logs.sum(), leaves))
    return [{number: next(found).cpu().double().numpy() for number in of_budget} for of_budget in bounds]


def _chosen(run: DocumentRun, bounds: dict[int, Boundary], number: int) -> Chosen:
    k = run.layers[number].k
    if number not in bounds:
        everything = torch.arange(run.prompt, device=k.device).expand(k.shape[0], -1)
        return Chosen(everything, torch.ones(everything.shape, device=k.device))
    at = bounds[number]
    kept = torch.tensor(at.kept, dtype=torch.float32, device=k.device, requires_grad=True)
    return Chosen(torch.from_numpy(at.places).to(k.device), kept)


def _of_boundary(at: Boundary, worth: Doubles, by_direction: Doubles) -> tuple[Doubles, Doubles]:
    tokens = standing(at)
    moved = side_deviations(tokens, by_direction[:, tokens.heads, tokens.places]) * tokens.weights
    return moved @ worth[tokens.near], moved @ moved.T
