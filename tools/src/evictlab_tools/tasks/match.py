"""Whether an answer is right, as RULER counts it (scripts/eval: evaluate.py and synthetic/constants.py), for one
example: from 0 to 1."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Sequence


def cleaned(prediction: str) -> str:
    """RULER's: blanks at the ends are cut off, and what cannot be printed ends lines."""
    return re.sub(r"[\x00-\x1f]", "\n", prediction.strip()).strip()


def string_match_all(prediction: str, answers: Sequence[str]) -> float:
    """The share of the answers that stand in the prediction, in whatever case."""
    told = cleaned(prediction).lower()
    return sum(answer.lower() in told for answer in answers) / len(answers)


def string_match_part(prediction: str, answers: Sequence[str]) -> float:
    """1 where any of the answers stands in the prediction."""
    told = cleaned(prediction).lower()
    return float(any(answer.lower() in told for answer in answers))


MATCHES = {"all": string_match_all, "part": string_match_part}
