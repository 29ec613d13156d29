# SPDX-License-Identifier: MIT
def column_window_attn(layer: Layer, window: int = 64, pool: int = 1, avg: bool = False, max: bool = False) -> Tensor:
    """Mean of the attention to the token over the last queries; pooled along the tokens before the window (SnapKV)."""
    mean = latest_mean(layer, window)
    if pool == 1 or layer.tokens <= window:
        return mean
    before, inside = mean[..., :-window], mean[..., -window:]
    pooling = functional.max_pool1d if max else functional.avg_pool1d
    return torch.cat((pooling(before, pool, stride=1, padding=pool // 2), inside), dim=-1)
