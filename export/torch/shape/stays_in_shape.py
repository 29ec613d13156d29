# SPDX-License-Identifier: MIT
def stays_in_shape(blocks: Tensor, tokens: int, count: int) -> Tensor:
    """Which of the tokens stay, [B, rows, tokens], by their blocks' scores: those in blocks that hold protected ones,
    then those in the blocks with the highest scores, of equals the first, of `count` tokens a row."""
    if count >= tokens:
        return torch.ones(*blocks.shape[:2], tokens, dtype=torch.bool, device=blocks.device)
    first = torch.arange(0, tokens, BLOCK, device=blocks.device)
    protected = (first < SINKS) | ((first + BLOCK).clamp(max=tokens) + RECENT > tokens)
    room = max(1, count // BLOCK)
    if int(protected.sum()) > room:
        raise Refused(
            f"the first {SINKS} and the last {RECENT} of {tokens} tokens are to stay in any case, and only {count} are "
            f"kept, in blocks of {BLOCK}: keep more, or export a press that protects fewer"
        )
    best = blocks.argsort(dim=-1, descending=True, stable=True)
    order = protected[best].to(torch.uint8).argsort(dim=-1, descending=True, stable=True)
    stays = torch.zeros_like(blocks, dtype=torch.bool).scatter(2, best.gather(2, order)[..., :room], True)
    return stays.repeat_interleave(BLOCK, 2)[..., :tokens]
