"""Sensitivities: what they foretell of small changes is what the model does."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from conftest import make_source
from test_capture import SETTINGS, documents, run_capture

from evictlab_tools.masked import ATTENTION, continue_with, prompt_layer
from evictlab_tools.reading import read
from evictlab_tools.sensitivity import sensitivities
from evictlab_tools.trace_file import TraceFile

PROMPT, PROBES = 20, 400


def test_half_the_mean_square_of_responses_is_the_kl_divergence_of_a_small_change() -> None:
    source = make_source("llama")
    model = source.load(ATTENTION)
    ids = source.tokenizer.encode("a text of a few tokens, long enough")
    layers = read(model, ids, None).layers
    found = sensitivities(model, ids, PROMPT, layers, PROBES)
    cached = {number: prompt_layer(layer, PROMPT) for number, layer in layers.items()}
    everything = [torch.ones(cached[number].k.shape[:2], dtype=torch.bool) for number in sorted(cached)]
    generator = torch.Generator().manual_seed(3)
    last = len(ids) - PROMPT - 1  # a change there has no later positions to reach
    change = {number: torch.zeros(1, last + 1, layer.q.shape[0], layer.q.shape[2]) for number, layer in layers.items()}
    for tensor in change.values():
        tensor[0, last] = 0.01 * torch.randn(tensor.shape[2:], generator=generator)
    with torch.no_grad():
        before = continue_with(model, ids, PROMPT, cached, [everything])[0].double().log_softmax(-1)[last]
        after = continue_with(model, ids, PROMPT, cached, [everything], change)[0].double().log_softmax(-1)[last]
    kl = float((before.exp() * (before - after)).sum())
    responses = sum(found[number][:, last] @ change[number][0, last].reshape(-1).numpy() for number in layers)
    assert np.isclose(np.mean(np.square(responses)) / 2, kl, rtol=0.25)  # of 400 draws


def test_a_capture_holds_the_sensitivities_that_were_asked_for(tmp_path: Path) -> None:
    items = documents()
    suite = run_capture(tmp_path, items, dataclasses.replace(SETTINGS, probes=3))
    trace = TraceFile(tmp_path / suite["files"][0]["file"])
    tensor = trace.stored("layers.1.sensitivity")
    q = trace.stored("layers.1.q")
    assert tensor.dtype == np.float16
    assert tensor.shape == (3, SETTINGS.continuation, q.shape[0] * q.shape[2])
    assert np.abs(tensor).max() > 0
