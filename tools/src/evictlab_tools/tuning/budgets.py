"""Who shares a budget: no heads, those of a layer, or those of all layers."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

UNIFORM = "uniform"
# Who shares a budget, and the scorer that divides it by a formula's scores.
BUDGETS = {UNIFORM: "", "head": "adakv@kvpress", "model": "global@kvpress"}


def scorer_within(budgets: str, formula: str) -> str:
    """The scorer whose budgets these are, with a formula's scores."""
    return f"{BUDGETS[budgets]}(={formula})" if BUDGETS[budgets] else f"={formula}"
