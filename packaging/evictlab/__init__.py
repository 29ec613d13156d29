"""Evictlab in Python: scores of any scorer, and a press for kvpress.

>>> from evictlab import Lab
>>> scorer = Lab().open("snapkv@kvpress")

`Lab` and `Scorer` need NumPy alone; `EvictlabPress` needs the extra `kvpress`.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from importlib import import_module
from typing import Any

from evictlab_tools import __version__

_PLACES = {
    "Lab": "evictlab_tools.library",
    "LayerInput": "evictlab_tools.library",
    "Scorer": "evictlab_tools.library",
    "Shape": "evictlab_tools.shapes",
    "EvictlabPress": "evictlab_tools.press",
}
__all__ = ["EvictlabPress", "Lab", "LayerInput", "Scorer", "Shape", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'evictlab' has no attribute {name!r}")
    try:
        return getattr(import_module(_PLACES[name]), name)
    except ModuleNotFoundError as error:
        if name == "EvictlabPress" and error.name in {"kvpress", "torch", "transformers"}:
            raise ImportError("evictlab.EvictlabPress needs kvpress: pip install 'evictlab[kvpress]'") from error
        raise


def __dir__() -> list[str]:
    return __all__
