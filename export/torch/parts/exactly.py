# SPDX-License-Identifier: MIT
def exactly(x: Tensor | float, device: torch.device) -> Tensor:
    """As a tensor in EXACT; a number is made on the device, without a copy from the CPU."""
    return x.to(EXACT) if isinstance(x, Tensor) else torch.full((), x, dtype=EXACT, device=device)
