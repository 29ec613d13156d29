"""What documents say, as lines have it: 64-bit numbers to the bit."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from evictlab_tools.errors import ToolError
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.pull import Pull


def pull_to_json(pull: Pull) -> dict[str, str]:
    return {name: _written(values) for name, values in (("slopes", pull.slopes), ("metric", pull.metric))}


def pull_from(said: Mapping[str, Any], retentions: int, directions: int) -> Pull:
    return Pull(
        _read(said, "slopes", (retentions, directions)), _read(said, "metric", (retentions, directions, directions))
    )


def _written(values: Doubles) -> str:
    """Little-endian, in base64."""
    return base64.b64encode(values.astype("<f8").tobytes()).decode()


def _read(said: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Doubles:
    try:
        values = np.frombuffer(base64.b64decode(said[name], validate=True), "<f8").astype(np.float64)
        return values.reshape(shape)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise ToolError(f'the judge answers with "{name}" that are not {" x ".join(map(str, shape))} numbers') from None
