"""The option of who computes scores, which is read before torch is imported."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse

SCORINGS = ("auto", "native", "torch")


def add_scoring_option(result: argparse.ArgumentParser) -> None:
    result.add_argument("--scoring", choices=SCORINGS, default="auto", help="who computes scores: libevictlab (native) "
        "or PyTorch, where the model is (torch); auto (the default): native on the CPU and for what PyTorch has no "
        "form of, else torch")  # fmt: skip
