"""How the model's predictions hang on each head's output: what a trace needs for the predicted KL divergence.

To second order, the KL divergence that small changes of logits cause is half their variance under the Fisher
information of the predicted distribution p (Amari, Natural Gradient Works Efficiently in Learning, 1998), which is the
mean over tokens drawn from p of the squared change of the drawn token's log-likelihood. A probe draws one token at each
position of the continuation, gives each a random sign, so that positions do not add up, and takes the gradient of the
signed sum of the log-likelihoods with respect to every head's output.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from evictlab_tools.attention import LayerAttention
from evictlab_tools.masked import all_kept, continue_with, prompt_layer
from evictlab_tools.trace_file import Array

SEED = 20250101  # of the draws: equal inputs give equal traces


def sensitivities(
    model: torch.nn.Module, ids: Sequence[int], prompt: int, layers: Mapping[int, LayerAttention], probes: int
) -> dict[int, Array]:
    """By layer, [probes][m][H_q * d]. `layers` are all of the model's, of a run over `ids`; no layer is changed."""
    cached = {number: prompt_layer(layer, prompt) for number, layer in layers.items()}
    length = len(ids) - prompt
    added = {
        number: torch.zeros(1, length, layer.q.shape[0], layer.q.shape[2], device=layer.k.device, requires_grad=True)
        for number, layer in layers.items()
    }
    with torch.enable_grad():
        log_p = continue_with(model, ids, prompt, cached, [all_kept(cached)], added)[0].float().log_softmax(-1)
    generator = torch.Generator().manual_seed(SEED)  # of the CPU: the same draws on every device
    gradients: list[tuple[torch.Tensor, ...]] = []
    for probe in range(probes):
        drawn = torch.multinomial(log_p.detach().exp().cpu(), 1, generator=generator)
        signs = torch.randint(0, 2, drawn.shape, generator=generator) * 2.0 - 1.0
        total = (log_p.gather(1, drawn.to(log_p.device)) * signs.to(log_p.device)).sum()
        gradients.append(torch.autograd.grad(total, list(added.values()), retain_graph=probe < probes - 1))
    return {
        number: torch.stack([of_probe[at].reshape(length, -1) for of_probe in gradients]).cpu().numpy()
        for at, number in enumerate(added)
    }
