"""What a document says of every direction: how its KL divergence would change, and how many tokens change sides."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evictlab_tools.errors import ToolError
from evictlab_tools.tuning.boundary import Boundary, Doubles, boundary, side_deviations, standing
from evictlab_tools.tuning.budgets import UNIFORM
from evictlab_tools.tuning.directions import Point, layer_factor
from evictlab_tools.tuning.through_model import Chosen, divergences
from evictlab_tools.tuning.units import Units
from evictlab_tools.verdict.judge import DocumentRun

SMALLEST = 1e-9  # nats: a divergence that is 0 has no logarithm
ROUNDING = 1e-12  # of a direction's values: deviations that are no more than this are 0


@dataclass(frozen=True)
class Pull:
    """`slopes` [retention][direction]: of the divergence's logarithm. `metric` [retention][direction][direction]: with
    it, the squared length of a step is about the share of kept tokens that change sides, squared token by token."""

    slopes: Doubles
    metric: Doubles


def pull_of(
    run: DocumentRun, point: Point, retentions: Sequence[float], seed: Sequence[int], budgets: str = UNIFORM
) -> Pull:
    """`seed` is of the noise at the boundary; `budgets` who shares one. ToolError where a figure is not finite."""
    point.prepare(run)
    random = np.random.default_rng(list(seed))
    layers = [number for number in range(len(run.layers)) if run.is_evicted(number)]
    units = Units(run.judge.shape, run.prompt, tuple(layers), budgets)

    def scored(number: int) -> Doubles:
        return point.scorer.score(run.layer_input(number, point.scorer))

    own = dict(zip(layers, run.judge.pool.map(scored, layers), strict=True))
    rows = [units.scores([own[number] for number in together]) for together in units.sets]
    bounds = [
        [boundary(each, units.count(retention, len(each)), random, shared=units.shared) for each in rows]
        for retention in retentions
    ]
    worths = _worths(run, units, bounds)

    def of_set(at: int) -> tuple[Doubles, Doubles]:
        together = units.sets[at]
        factors = np.array([1.0, layer_factor(run, together[0])])
        by_direction = _by_direction(run, point, units, together, own)
        found = [_of_boundary(bound[at], worth[at], by_direction) for bound, worth in zip(bounds, worths, strict=True)]
        slopes, metric = (np.stack(each) for each in zip(*found, strict=True))
        if len(together) > 1:
            return slopes, metric
        return np.kron(factors, slopes), np.kron(np.outer(factors, factors), metric)

    total: list[Doubles] = [
        sum(parts) for parts in zip(*run.judge.pool.map(of_set, range(len(units.sets))), strict=True)
    ]
    if not all(np.isfinite(each).all() for each in total):
        raise ToolError(f"{point.scorer.text} on {run.document.name}: a derivative is no finite number")
    counts = np.array([units.count(retention, 1) for retention in retentions])
    return Pull(total[0], total[1] / (sum(len(each) for each in rows) * counts)[:, None, None])


def _by_direction(
    run: DocumentRun, point: Point, units: Units, together: Sequence[int], own: Mapping[int, Doubles]
) -> Doubles:
    """Of units, [direction][row][unit]: of one layer the first half, as `Point.slopes`, and of several all."""
    heads = sum(len(own[number]) for number in together)

    def of_layer(number: int) -> Doubles:
        return units.share(point.slopes(run, number, own[number]), heads)

    if len(together) == 1:
        return of_layer(together[0])
    found = [of_layer(number) for number in together]
    with_layer = [layer_factor(run, number) * slopes for number, slopes in zip(together, found, strict=True)]
    return np.concatenate((units.join(found), units.join(with_layer)))


def _worths(run: DocumentRun, units: Units, bounds: Sequence[Sequence[Boundary]]) -> list[list[Doubles]]:
    """[retention][set]: derivatives [row][c] of the divergence's logarithm by which units are kept."""
    chosen = [_chosen(run, units, of_budget) for of_budget in bounds]
    logs = divergences(run, chosen).clamp_min(SMALLEST).log()
    leaves = [of.kept for row in chosen for of in row if of.kept.requires_grad]
    found = iter(torch.autograd.grad(logs.sum(), leaves))
    by_layer = [{number: next(found).cpu().double().numpy() for number in units.layers} for _ in bounds]
    return [
        [units.worth(at, of_tokens, together) for at, together in zip(of_budget, units.sets, strict=True)]
        for of_budget, of_tokens in zip(bounds, by_layer, strict=True)
    ]


def _chosen(run: DocumentRun, units: Units, bounds: Sequence[Boundary]) -> list[Chosen]:
    """[layer], at one budget."""
    of_layer = {
        number: of for at, together in zip(bounds, units.sets, strict=True) for number, of in units.split(at, together)
    }
    found = []
    for number in range(len(run.layers)):
        k = run.layers[number].k
        if number not in of_layer:
            everything = torch.arange(run.prompt, device=k.device).expand(k.shape[0], -1)
            found.append(Chosen(everything, torch.ones(everything.shape, device=k.device)))
            continue
        places, kept = (np.broadcast_to(each, (k.shape[0], each.shape[1])) for each in of_layer[number])
        leaf = torch.tensor(kept, dtype=torch.float32, device=k.device, requires_grad=True)
        found.append(Chosen(torch.tensor(places, device=k.device), leaf))
    return found


def _of_boundary(at: Boundary, worth: Doubles, by_direction: Doubles) -> tuple[Doubles, Doubles]:
    tokens = standing(at)
    values = by_direction[:, tokens.heads, tokens.places]
    deviations = side_deviations(tokens, values)
    alike = np.abs(deviations).max(-1, initial=0.0) <= ROUNDING * np.abs(values).max(-1, initial=0.0)
    deviations[alike] = 0.0  # what moves all alike changes nothing, and a step along its rounding would be endless
    moved = deviations * tokens.weights
    return moved @ worth[tokens.near], moved @ moved.T
