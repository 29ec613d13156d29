# SPDX-License-Identifier: MIT
def once(statistic: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Computes a statistic of a layer once, however many columns follow from it."""

    @wraps(statistic)
    def known(layer: Layer, *arguments: Any, **options: Any) -> Tensor:
        key = (statistic.__name__, *arguments, *options.items())
        if key not in layer.known:
            layer.known[key] = statistic(layer, *arguments, **options)
        return layer.known[key]

    return known
